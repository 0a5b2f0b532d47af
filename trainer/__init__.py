"""The DreamBooth trainer. It imports no host: the nodes, the WebUI tab and the command line all call this package."""
