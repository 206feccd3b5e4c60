//! The kernel for every machine, with whatever vector unit `pulp` finds.

use pulp::{NullaryFnOnce, Simd};

use super::kernel::{Kernel, LINES, PANEL, ROWS, TILE, Task};
use super::table::{Chunk, LANES};

/// A vector unit of `pulp`.
#[derive(Clone, Copy)]
pub struct Portable<S>(pub S);

/// Sums that are in flight at once.
const CHAINS: usize = 8;

impl<S: Simd> Kernel for Portable<S> {
    type Packed = Chunk;
    const PACKED_LENGTH: Option<i32> = None;

    fn enter<T: Task<Self>>(self, task: T) -> T::Output {
        struct Entry<K, T>(K, T);
        impl<K, T: Task<K>> NullaryFnOnce for Entry<K, T> {
            type Output = T::Output;

            #[inline(always)]
            fn call(self) -> T::Output {
                self.1.run(self.0)
            }
        }
        self.0.vectorize(Entry(self, task))
    }

    #[inline(always)]
    fn pack(self, chunk: &Chunk, _at: usize, scale: f32) -> Chunk {
        Chunk(chunk.0.map(|value| scale * value))
    }

    #[inline(always)]
    fn unpack(self, table: &[Chunk], items: &[u32], tile: &mut [Chunk]) {
        let tile = tile.as_chunks_mut::<TILE>().0;
        for (j, &item) in items.iter().enumerate() {
            let vector = &table[item as usize * tile.len()..][..tile.len()];
            for (chunk, chunks) in vector.iter().zip(&mut *tile) {
                chunks[j] = *chunk;
            }
        }
        for chunks in tile {
            chunks[items.len()..].fill(Chunk::ZERO);
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, _values: &[T]) {}

    #[inline(always)]
    fn load(self, values: &[f32]) -> Chunk {
        let mut chunk = Chunk::ZERO;
        chunk.0.iter_mut().zip(values).for_each(|(lane, &value)| *lane = value);
        chunk
    }

    #[inline(always)]
    fn times(self, scale: f32, a: &[Chunk], shift: f32, b: &[Chunk], out: &mut [Chunk]) {
        for ((a, b), out) in a.iter().zip(b).zip(out) {
            for i in 0..LANES {
                out.0[i] = scale * (a.0[i] + shift) * b.0[i];
            }
        }
    }

    #[inline(always)]
    fn weigh(self, confidences: &Chunk, shift: f32, dots: &Chunk, scale: f32, sum: &mut Chunk) -> Chunk {
        let mut out = Chunk::ZERO;
        for j in 0..TILE {
            let dot = dots.0[j] * scale;
            let weighted = (confidences.0[j] - shift) * dot;
            sum.0[j] += weighted * dot;
            out.0[j] = weighted * scale;
        }
        out
    }

    #[inline(always)]
    fn outer<const ADD: bool>(self, left: &[Chunk], right: &[Chunk], first: usize, out: &mut [Chunk]) {
        let simd = self.0;
        let n_chunks = out.len() / LINES;
        let start = first / LANES;
        for (left, right) in left.chunks_exact(n_chunks).zip(right.chunks_exact(n_chunks)) {
            for (i, out) in out.chunks_exact_mut(n_chunks).enumerate() {
                let value = left[start].0[first % LANES + i];
                let value = simd.splat_f32s(if ADD { value } else { -value });
                for (out, part) in out[start..].iter_mut().zip(&right[start..]) {
                    let ((out, _), (part, _)) = (S::as_mut_simd_f32s(&mut out.0), S::as_simd_f32s(&part.0));
                    for (out, &part) in out.iter_mut().zip(part) {
                        *out = simd.mul_add_e_f32s(value, part, *out);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn dots(self, tile: &[Chunk], _n: usize, vector: &[Chunk]) -> Chunk {
        let simd = self.0;
        let mut out = Chunk::ZERO;
        for first in (0..TILE).step_by(CHAINS) {
            let mut sums = [simd.splat_f32s(0.0); CHAINS];
            for (chunks, part) in tile.as_chunks::<TILE>().0.iter().zip(vector) {
                let (part, _) = S::as_simd_f32s(&part.0);
                for j in 0..CHAINS {
                    let (row, _) = S::as_simd_f32s(&chunks[first + j].0);
                    for v in 0..part.len() {
                        sums[j] = simd.mul_add_e_f32s(row[v], part[v], sums[j]);
                    }
                }
            }
            for (out, sum) in out.0[first..].iter_mut().zip(sums) {
                *out = simd.reduce_sum_f32s(sum);
            }
        }
        out
    }

    #[inline(always)]
    fn add_weighted(self, tile: &[Chunk], _n: usize, weights: &Chunk, out: &mut [Chunk]) {
        let simd = self.0;
        for (chunks, out) in tile.as_chunks::<TILE>().0.iter().zip(out) {
            let (out, _) = S::as_mut_simd_f32s(&mut out.0);
            for v in 0..out.len() {
                let mut sum = out[v];
                for (row, &weight) in chunks.iter().zip(&weights.0) {
                    let (row, _) = S::as_simd_f32s(&row.0);
                    sum = simd.mul_add_e_f32s(simd.splat_f32s(weight), row[v], sum);
                }
                out[v] = sum;
            }
        }
    }

    #[inline(always)]
    fn dot(self, a: &[Chunk], b: &[Chunk]) -> f32 {
        let simd = self.0;
        let mut sum = simd.splat_f32s(0.0);
        for (a, b) in a.iter().zip(b) {
            let ((a, _), (b, _)) = (S::as_simd_f32s(&a.0), S::as_simd_f32s(&b.0));
            for (&a, &b) in a.iter().zip(b) {
                sum = simd.mul_add_e_f32s(a, b, sum);
            }
        }
        simd.reduce_sum_f32s(sum)
    }

    #[inline(always)]
    fn scale_add(self, scale: f32, out: &mut [Chunk], factor: f32, vector: &[Chunk]) {
        let simd = self.0;
        let (scale, factor) = (simd.splat_f32s(scale), simd.splat_f32s(factor));
        for (out, vector) in out.iter_mut().zip(vector) {
            let ((out, _), (vector, _)) = (S::as_mut_simd_f32s(&mut out.0), S::as_simd_f32s(&vector.0));
            for (out, &vector) in out.iter_mut().zip(vector) {
                *out = simd.mul_add_e_f32s(factor, vector, simd.mul_f32s(scale, *out));
            }
        }
    }

    #[inline(always)]
    fn transform(self, rows: &[Chunk], matrix: &[Chunk], out: &mut [Chunk]) {
        let simd = self.0;
        let n_chunks = rows.len() / ROWS;
        out.fill(Chunk::ZERO);
        let n_factors = matrix.len() / n_chunks;
        for (panel, lines) in matrix.chunks(PANEL * n_factors).enumerate() {
            let (start, width) = (panel * PANEL, lines.len() / n_factors);
            for (k, line) in lines.chunks_exact(width).enumerate() {
                for row in 0..ROWS {
                    let value = simd.splat_f32s(rows[row * n_chunks + k / LANES].0[k % LANES]);
                    let out = &mut out[row * n_chunks + start..][..width];
                    for (out, part) in out.iter_mut().zip(line) {
                        let (out, _) = S::as_mut_simd_f32s(&mut out.0);
                        let (part, _) = S::as_simd_f32s(&part.0);
                        for (out, &part) in out.iter_mut().zip(part) {
                            *out = simd.mul_add_e_f32s(value, part, *out);
                        }
                    }
                }
            }
        }
    }
}
