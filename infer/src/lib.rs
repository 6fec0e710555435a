//! Compact sparse networks out of training: what they are made of, how they run, and their files.
