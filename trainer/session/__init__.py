"""The training session: one personalization from its request to the result's file."""
