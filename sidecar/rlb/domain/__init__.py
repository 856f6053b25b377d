"""The pure core: values and rules of the bridge. No I/O, no clock, no third party but pydantic."""
