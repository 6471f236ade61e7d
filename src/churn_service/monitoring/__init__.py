"""What was answered, remembered and watched."""
