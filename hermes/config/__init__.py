"""Every setting as a frozen dataclass, and the reading and writing of config.ini."""
