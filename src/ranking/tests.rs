//! The ranking room on small tables by hand: features, labels, what leaks and what does not.
