"""The engines below the seam: each keeps memory in its own way and brings the primitives of ``memweld.engine``."""
