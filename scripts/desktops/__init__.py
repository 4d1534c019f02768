"""Desktop images, launched as kVDI's manager launches them: for the try-out, the benchmark and the tests."""
