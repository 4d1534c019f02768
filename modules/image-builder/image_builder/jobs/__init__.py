"""Jobs: rows before they are anything else, built by whichever process holds their lease."""
