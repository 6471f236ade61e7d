"""The third floor: what was answered, remembered and watched."""
