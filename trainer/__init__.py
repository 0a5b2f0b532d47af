"""The method. Imports no host: nodes, the WebUI tab and the command line all call into here."""
