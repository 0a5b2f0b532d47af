"""Other trainers, run as their users run them: none of their code is here."""
