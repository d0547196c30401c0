"""From the pixels of a mask's file to classes: what they mean is said by options, or guessed and said.

``docs/masks.md`` lists every option, and what is guessed.
"""
