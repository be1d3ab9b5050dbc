"""What pytest must leave alone: the defects are plugins under judgement, whatever their files are called."""

collect_ignore = ["defects"]
