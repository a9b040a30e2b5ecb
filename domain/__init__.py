"""The rules of streaming answers: services that depend on ports alone, and nothing but the standard library."""
