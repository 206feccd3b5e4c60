//! A buffer on large pages, for tables that are read in random order.
//!
//! With pages of 4 KiB nearly every vector that is gathered from a table of many MiB costs a walk
//! through the page tables besides the cache miss. Where the system cannot give large pages it is an
//! ordinary buffer.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Size and alignment of a large page, as on x86-64 and most others.
const PAGE: usize = 2 << 20;

/// `len` values.
pub struct Pages<T: Copy> {
    start: NonNull<T>,
    len: usize,
    layout: Layout,
}

impl<T: Copy> Pages<T> {
    /// As many values, all `value`.
    pub fn new(len: usize, value: T) -> Self {
        let align = if len * size_of::<T>() >= PAGE { PAGE } else { 128.max(align_of::<T>()) };
        let layout = Layout::array::<T>(len.max(1)).and_then(|layout| layout.align_to(align));
        let layout = layout.expect("a table that exists once in memory has a size in bytes");
        assert_ne!(layout.size(), 0, "values without a size need no pages");
        // SAFETY: the layout's size is not zero.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        #[cfg(target_os = "linux")]
        if align == PAGE {
            // SAFETY: whole pages inside of the allocation; the advice changes no contents. If the
            // system refuses, its pages stay small.
            unsafe { libc::madvise(start.as_ptr().cast(), layout.size() & !(PAGE - 1), libc::MADV_HUGEPAGE) };
        }
        let start = start.cast::<T>();
        for at in 0..len {
            // SAFETY: inside of the allocation, which is aligned for `T`.
            unsafe { start.add(at).write(value) };
        }
        Self { start, len, layout }
    }
}

impl<T: Copy> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` wrote `len` values there, and they live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for Pages<T> {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}

// SAFETY: it owns its values like a `Vec`.
unsafe impl<T: Copy + Send> Send for Pages<T> {}
// SAFETY: shared access only reads.
unsafe impl<T: Copy + Sync> Sync for Pages<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_its_values_whatever_its_size() {
        for len in [0, 1, 7, PAGE / 8, PAGE / 8 + 3] {
            let mut pages = Pages::new(len, 5u64);
            assert!(pages.iter().all(|&value| value == 5));
            if let Some(last) = pages.last_mut() {
                *last = 6;
            }
            assert_eq!(pages.iter().sum::<u64>(), 5 * len as u64 + u64::from(len > 0));
        }
    }
}
