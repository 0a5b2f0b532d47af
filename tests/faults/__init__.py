"""Deaths, bad inputs, full disks, two jobs and twenty trainings: whether each ends in the state promised."""
