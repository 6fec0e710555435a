//! Once warm, a pass asks for no memory. One test only: the count is the process's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sparsevd_infer::{Activation, CompactNet, Form, Op, Pool, PoolKind, Scratch, Window, compact};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn numbers(n: usize) -> Vec<f64> {
    (0..n).map(|i| if i % 3 == 0 { (i as f64).sin() } else { 0.0 }).collect()
}

#[test]
fn a_warm_pass_allocates_nothing() {
    let window = |kernel, stride, pad| Window { kernel, stride, pad, dilation: 1 };
    let parts = [
        Op::Conv2d { weights: numbers(4 * 9), bias: numbers(4), sigma: None, groups: 1, window: window(3, 1, 1) },
        Op::Activation(Activation::Relu),
        Op::Pool(Pool { kind: PoolKind::Max, window: window(2, 2, 0) }),
        Op::Linear { weights: numbers(100 * 5), bias: numbers(5), sigma: None },
    ];
    let net = compact(&parts, [1, 10, 10]).unwrap();
    let x = vec![0.5; 70 * 100];
    for form in [Form::Csr, Form::Dense] {
        let (net, mut scratch): (CompactNet, _) = (net.with_forms(|_| form), Scratch::default());
        let mut pass = || {
            let before = COUNT.load(Relaxed);
            for data in [70, 20, 4, 1] {
                assert_eq!(net.forward(&x[..data * 100], &mut scratch).unwrap().len(), data * 5);
            }
            COUNT.load(Relaxed) - before
        };
        assert!(pass() > 0, "the first pass makes its scratch");
        assert_eq!(pass(), 0, "{form:?}");
    }
}
