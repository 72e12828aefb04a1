"""The course: exercises that tell what is wrong, one file for each notebook that has some."""
