"""Other detectors, each in an environment of its own, asked by one program over its standard input and output."""
