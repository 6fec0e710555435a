//! Once warm, a pass asks for no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use sparsevd_infer::{Activation, CompactNet, Form, Op, Pool, PoolKind, Scratch, Window, compact};

struct Counting;

thread_local! {
    /// The allocations of this thread: those of the test harness's own thread are not ours. Made at compile time and
    /// never dropped, so that counting needs no memory itself.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator. The methods not defined here come to `alloc` and `dealloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
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
            let before = COUNT.get();
            for data in [70, 20, 4, 1] {
                assert_eq!(net.forward(&x[..data * 100], &mut scratch).unwrap().len(), data * 5);
            }
            COUNT.get() - before
        };
        assert!(pass() > 0, "the first pass makes its scratch");
        assert_eq!(pass(), 0, "{form:?}");
    }
}

/// Another thread that allocates meanwhile, as the harness's does, counts for itself.
#[test]
fn only_the_threads_own_allocations_count() {
    let (elsewhere, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let [before, after, one_more] = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                drop(black_box(vec![0_u8; 100]));
                elsewhere.fetch_add(1, Relaxed);
            }
        });
        let before = COUNT.get();
        let until = elsewhere.load(Relaxed) + 1000;
        while elsewhere.load(Relaxed) < until {
            std::thread::yield_now();
        }
        let after = COUNT.get();
        drop(black_box(vec![0_u8; 100]));
        stop.store(true, Relaxed);
        [before, after, COUNT.get()]
    });
    assert_eq!([after, one_more], [before, before + 1]);
}
