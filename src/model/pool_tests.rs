//! The CPU's pools compared with the dfdx graph: equal outputs and gradients, including ties and NaN.

use super::*;
use crate::compute::graph;
use proptest::prelude::*;

/// Output and gradient of `sum_j y_j (j + 1)`, both integers if the pixels are.
fn run<E: Elem>(
    pool: impl Fn(Images<usize, Const<2>, E, Cpu, OwnedTape<E, Cpu>>, Window) -> Pooled<E>,
    x: &Images<usize, Const<2>, E, Cpu, NoneTape>,
    window: Window,
) -> Option<[Vec<f64>; 2]>
where
    Cpu: Backend<E>,
{
    let y = pool(x.leaky_trace(), window).ok()?;
    let numbers = y.as_vec().into_iter().map(Elem::f64).collect();
    let weights = (0..y.shape().num_elements()).map(|j| E::of(j as f64 + 1.0)).collect();
    let weights = y.device().tensor_from_vec(weights, *y.shape());
    let gradient = (y * weights).sum::<Rank0, _>().backward().get(x).as_vec().into_iter().map(Elem::f64).collect();
    Some([numbers, gradient])
}

type Pooled<E> = Result<Images<usize, Const<2>, E, Cpu, OwnedTape<E, Cpu>>, CpuError>;

fn same<E: Elem>(pixels: &[f64], [height, width]: [usize; 2], window: Window)
where
    Cpu: Backend<E>,
{
    let pixels: Vec<E> = pixels.iter().map(|x| E::of(*x)).collect();
    let x = Cpu::default().tensor_from_vec(pixels, (1, Const, height, width));
    let close = |own: Option<[Vec<f64>; 2]>, graph: Option<[Vec<f64>; 2]>, tolerance: f64| {
        let (Some(own), Some(graph)) = (&own, &graph) else { return assert_eq!(own.is_some(), graph.is_some()) };
        for (a, b) in own.concat().iter().zip(graph.concat()) {
            assert!(a == &b || (a - b).abs() <= tolerance * b.abs() || (a.is_nan() && b.is_nan()), "{a} and {b}");
        }
    };
    close(run::<E>(<Cpu as Backend<E>>::max_pool2d, &x, window), run::<E>(graph::pool::max_pool2d, &x, window), 0.0);
    close(run::<E>(<Cpu as Backend<E>>::avg_pool2d, &x, window), run::<E>(graph::pool::avg_pool2d, &x, window), 1e-5);
}

proptest! {
    #[test]
    fn own_operations_equal_the_graph(
        height in 1_usize..8,
        width in prop_oneof![1_usize..8, 8_usize..40], // some fill vectors
        (kernel, stride, pad) in prop_oneof![(1_usize..5, 1_usize..4, 0_usize..4), Just((2, 2, 0))],
        pixels in prop::collection::vec(prop_oneof![8 => (-3_i8..3).prop_map(f64::from), 1 => Just(-1e30), 1 => Just(f64::NAN)], 2 * 7 * 39),
    ) {
        let window = Window { kernel, stride, pad: pad % kernel, dilation: 1 };
        let (size, pixels) = ([height, width], &pixels[..2 * height * width]);
        same::<f64>(pixels, size, window);
        same::<f32>(pixels, size, window);
    }
}
