//! The inner loops of the solvers: what a kernel must do, and the choice of one for this machine.
//!
//! A row-solve does little else than products of gathered vectors with one vector, from both sides.
//! The gathered vectors lie in tiles of [`TILE`] vectors, chunk after chunk: the first chunk of all of
//! them, then the second chunk of all of them. Loops over a tile then run over constant distances,
//! whatever the length of a vector, and many independent sums are in flight.
//!
//! Two kernels exist: `avx512` (intrinsics, vectors gathered as 16-bit floats) and `portable` (any
//! vector unit, by `pulp`). They differ in rounding only; a machine always takes the same one.

use pulp::{Arch, Simd, WithSimd};

#[cfg(target_arch = "x86_64")]
use super::avx512::{Avx512, Half};
use super::portable::Portable;
use super::table::Chunk;

/// Vectors in a tile.
pub const TILE: usize = 16;

/// What the solvers ask of a vector unit. Slices of chunks are vectors of equal numbers of chunks.
pub trait Kernel: Copy + Send + Sync {
    /// A chunk as the gather table holds it.
    type Packed: Copy + Send + Sync;
    /// The power of two just above the lengths of packed vectors; none when any length will do.
    const PACKED_LENGTH: Option<i32>;

    /// Does the work with the instructions of this kernel.
    fn enter<T: Task<Self>>(self, task: T) -> T::Output;

    /// `scale · chunk` for place `at` of the gather table.
    fn pack(self, chunk: &Chunk, at: usize, scale: f32) -> Self::Packed;

    /// Fills a tile with the vectors `items` of `table`, at most [`TILE`], and zeros after them.
    fn unpack(self, table: &[Self::Packed], items: &[u32], tile: &mut [Chunk]);

    /// Asks for values to be in the cache soon.
    fn prefetch<T>(self, values: &[T]);

    /// The first [`TILE`] values, zeros if there are fewer.
    fn load(self, values: &[f32]) -> Chunk;

    /// `out[j] = tile[j] · vector`, of a tile whose vectors from `n` on are zeros.
    fn dots(self, tile: &[Chunk], n: usize, vector: &[Chunk]) -> Chunk;

    /// `out += Σ_j weights[j] · tile[j]`, of a tile whose vectors from `n` on are zeros.
    fn add_weighted(self, tile: &[Chunk], n: usize, weights: &Chunk, out: &mut [Chunk]);

    /// `a · b`.
    fn dot(self, a: &[Chunk], b: &[Chunk]) -> f32;

    /// `out ← scale · out + factor · vector`.
    fn scale_add(self, scale: f32, out: &mut [Chunk], factor: f32, vector: &[Chunk]);

    /// `out ← scale · (a + shift) ∘ b`.
    fn times(self, scale: f32, a: &[Chunk], shift: f32, b: &[Chunk], out: &mut [Chunk]);

    /// With `w = (c − shift) · scale · dot`: adds `w · scale · dot` to `sum`, and gives `w · scale`.
    fn weigh(self, confidences: &Chunk, shift: f32, dots: &Chunk, scale: f32, sum: &mut Chunk) -> Chunk;

    /// Adds `Σ_r left[r][first + i] · right[r]` to row `i` of `out`, or takes it away, for the
    /// [`LINES`] rows of `out` and their chunks from `first` on.
    fn outer<const ADD: bool>(self, left: &[Chunk], right: &[Chunk], first: usize, out: &mut [Chunk]);

    /// `out[r] = rows[r] · matrix` for [`ROWS`] vectors, one after the other; `matrix` is square without
    /// the padding of its rows, and lies there by [`panels`].
    fn transform(self, rows: &[Chunk], matrix: &[Chunk], out: &mut [Chunk]);
}

/// Rows that [`Kernel::outer`] changes at once.
pub const LINES: usize = 4;

/// Vectors that [`Kernel::transform`] takes at once.
pub const ROWS: usize = 8;

/// Chunks of a row of its matrix that [`Kernel::transform`] takes at once.
pub const PANEL: usize = 2;

/// The padded rows of a matrix, `n_chunks` each, cut into columns of [`PANEL`] chunks (the last may be
/// less), one column after the other: a column is read in one go and stays in the first-level cache.
pub fn panels(rows: &[Chunk], n_chunks: usize) -> Vec<Chunk> {
    let starts = (0..n_chunks).step_by(PANEL);
    let columns = starts.flat_map(|start| {
        rows.chunks_exact(n_chunks).flat_map(move |row| &row[start..n_chunks.min(start + PANEL)])
    });
    columns.copied().collect()
}

/// Work for one thread, compiled with the instructions of its kernel.
pub trait Task<K> {
    /// What comes out.
    type Output;

    /// Does the work. To be marked `#[inline(always)]`: only then it gets the instructions.
    fn run(self, kernel: K) -> Self::Output;
}

/// Work of many threads, whose parts [enter](Kernel::enter) the kernel.
pub trait Work {
    /// What comes out.
    type Output;

    /// Does the work with this kernel.
    fn with<K: Kernel>(self, kernel: K) -> Self::Output;
}

/// Bytes of a gather table of 32-bit floats that the second-level cache holds: a larger one is worth
/// its rounding to 16 bits.
const CACHED: usize = 1 << 20;

/// Does the work with the best kernel of this machine for gathering from a table of so many bytes.
pub fn dispatch<W: Work>(bytes: usize, work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if bytes > CACHED {
        if let Some(kernel) = Avx512::<Half>::detect() {
            return work.with(kernel);
        }
    } else if let Some(kernel) = Avx512::<Chunk>::detect() {
        return work.with(kernel);
    }
    dispatch_portable(work)
}

/// Does the work with the kernel of every machine.
pub fn dispatch_portable<W: Work>(work: W) -> W::Output {
    struct Pulp<W>(W);
    impl<W: Work> WithSimd for Pulp<W> {
        type Output = W::Output;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> W::Output {
            self.0.with(Portable(simd))
        }
    }
    Arch::new().dispatch(Pulp(work))
}
