"""The sections of ``config.ini``, one file for each subject."""
