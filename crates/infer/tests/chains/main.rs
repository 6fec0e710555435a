//! Random chains of operations: the compact network computes what the chain does, and keeps nothing that is not needed.

mod draw;
mod plain;

use draw::{Draw, Numbers, draw};
use plain::Signal;
use proptest::prelude::*;
use serde_json::Value;
use sparsevd_infer::{
    Activation, CompactNet, Container, Dtype, Form, Op, Pool, PoolKind, Precision, Scratch, Window, compact,
};

/// As many of the operations as fit what is before them.
fn chain(draws: &[Draw], input: [usize; 3]) -> Vec<Op> {
    let (mut ops, mut signal) = (Vec::new(), Signal::new(input, vec![0.0; input.iter().product()]));
    for draw in draws {
        if let Some(op) = draw.op(signal.shape) {
            signal = signal.through(&op);
            ops.push(op);
        }
    }
    ops
}

fn input() -> impl Strategy<Value = [usize; 3]> {
    prop_oneof![(1_usize..5).prop_map(|features| [features, 1, 1]), [1_usize..4, 1_usize..7, 1_usize..7]]
}

/// `net` on as many inputs as every width of its passes takes, against the plain evaluation. The rounding of single
/// precision, at most 500 terms a sum and 8 operations, is far below 1e-5 of what the numbers would be without
/// cancelling.
fn same(net: &CompactNet, ops: &[Op], input: [usize; 3]) -> Result<(), TestCaseError> {
    let (mut numbers, mut scratch) = (Numbers(7), Scratch::default());
    let each: usize = input.iter().product();
    let x: Vec<f64> = (0..40 * each).map(|_| f64::from(numbers.one() as f32)).collect();
    let signals: Vec<Signal> = x
        .chunks(each)
        .map(|x| ops.iter().fold(Signal::new(input, x.to_vec()), |signal, op| signal.through(op)))
        .collect();
    let single: Vec<f32> = x.iter().map(|x| *x as f32).collect();
    for count in [1, 4, 12, 40] {
        let found = net.forward(&single[..count * each], &mut scratch).unwrap();
        let expected = signals[..count].iter().flat_map(|s| s.numbers.iter().zip(&s.sizes));
        prop_assert_eq!(found.len(), count * signals[0].numbers.len());
        for (found, (expected, size)) in found.iter().zip(expected) {
            prop_assert!((f64::from(*found) - expected).abs() <= 1e-5 * size, "{found} {expected}, {count} inputs");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Also in either form, and from a file.
    #[test]
    fn a_compact_network_is_its_chain(draws in prop::collection::vec(draw(), 0..9), input in input()) {
        let ops = chain(&draws, input);
        let net = compact(&ops, input).unwrap();
        same(&net, &ops, input)?;
        for form in [Form::Csr, Form::Dense] {
            same(&net.with_forms(|_| form), &ops, input)?;
        }
        if draws.len() < 3 {
            same(&net.tuned(2), &ops, input)?; // whichever forms are faster here
        }
        same(&CompactNet::from_bytes(&net.to_bytes(Precision::Single).unwrap()).unwrap(), &ops, input)?;
    }

    /// Every output left is read by the next layer, and none is a constant that could be part of the next bias. A layer
    /// of which nothing is left keeps one output.
    #[test]
    fn nothing_is_left_that_is_not_needed(draws in prop::collection::vec(draw(), 0..9), input in input()) {
        let layers = layers(&compact(&chain(&draws, input), input).unwrap());
        for pair in layers.windows(2) {
            let [from, to] = pair else { continue };
            if from.rows.len() == 1 {
                continue;
            }
            let mut read = to.rows.concat();
            read.sort_unstable();
            read.dedup();
            prop_assert_eq!(&read, &(0..from.rows.len()).collect::<Vec<_>>(), "channels read of {:?}", from);
            let constant = from.rows.iter().any(Vec::is_empty);
            prop_assert!(!constant || to.pads || from.borders, "a constant is left in {:?}", from);
        }
    }
}

/// The description of a layer in a file.
#[derive(Debug)]
struct LeftOver {
    /// The channels that each output reads.
    rows: Vec<Vec<usize>>,
    pads: bool,
    /// True if its pool counts zeros around the image.
    borders: bool,
}

fn layers(net: &CompactNet) -> Vec<LeftOver> {
    let file = Container::parse("compact", 1, &net.to_bytes(Precision::Single).unwrap()).unwrap();
    let about: Value = file.about().unwrap();
    let layer = |(i, about): (usize, &Value)| {
        let number = |at: &str| about.pointer(at).and_then(Value::as_u64).unwrap_or(0) as usize;
        let window = about["window"].is_object();
        let area = if window { number("/window/kernel").pow(2) } else { number("/input/1") * number("/input/2") };
        let tensor = |name: &str| file.tensor(&format!("{i}.{name}")).unwrap();
        let columns: Vec<usize> = match tensor("columns").dtype {
            Dtype::U8 => tensor("columns").values::<u8>().unwrap().into_iter().map(usize::from).collect(),
            _ => tensor("columns").values::<u16>().unwrap().into_iter().map(usize::from).collect(),
        };
        let starts: Vec<u32> = tensor("starts").values().unwrap();
        let row = |ends: &[u32]| columns[ends[0] as usize..ends[1] as usize].iter().map(|c| c / area).collect();
        LeftOver {
            rows: starts.windows(2).map(row).collect(),
            pads: number("/window/pad") > 0,
            borders: about.pointer("/pool/kind").is_some_and(|kind| kind == "mean") && number("/pool/window/pad") > 0,
        }
    };
    about["layers"].as_array().unwrap().iter().enumerate().map(layer).collect()
}

/// Features are channels of one pixel: flattened or not, pools with borders make 3 x 3 pixels of each.
#[test]
fn an_image_of_one_pixel_may_be_flattened() {
    let pool = |kind| Op::Pool(Pool { kind, window: Window { kernel: 2, stride: 1, pad: 1, dilation: 1 } });
    let linear = Op::Linear { weights: vec![2.0, -1.0], bias: vec![0.0, 0.5], sigma: None };
    let ops = [linear, Op::Flatten, pool(PoolKind::Max), pool(PoolKind::Mean)];
    let net = compact(&ops, [1, 1, 1]).unwrap();
    assert_eq!(net.outputs(), 18);
    same(&net, &ops, [1, 1, 1]).unwrap();
}

/// An activation that may come before a maximum stays behind a mean.
#[test]
fn activations_and_pools_keep_their_order() {
    let window = Window { kernel: 2, stride: 2, pad: 0, dilation: 1 };
    for kind in [PoolKind::Max, PoolKind::Mean] {
        let conv = Op::Conv2d {
            weights: vec![1.0],
            bias: vec![0.25],
            sigma: None,
            groups: 1,
            window: Window { kernel: 1, stride: 1, ..window },
        };
        let ops = [conv, Op::Pool(Pool { kind, window }), Op::Activation(Activation::Tanh)];
        let net = compact(&ops, [1, 4, 4]).unwrap();
        assert_eq!(net.layers().len(), if kind == PoolKind::Max { 1 } else { 2 });
        same(&net, &ops, [1, 4, 4]).unwrap();
    }
}

/// Numbers and shapes that make no sense, also where pruning would take them away, and where they would fill the
/// memory.
#[test]
fn chains_that_cannot_be_are_named() {
    let said = |ops: &[Op], input: [usize; 3]| compact(ops, input).unwrap_err().to_string();
    let linear = |weights: &[f64], bias: &[f64]| Op::Linear { weights: weights.into(), bias: bias.into(), sigma: None };
    let window = |kernel, pad| Window { kernel, stride: 1, pad, dilation: 1 };
    let pool = |kernel, pad| Op::Pool(Pool { kind: PoolKind::Mean, window: window(kernel, pad) });
    for input in [[0, 1, 1], [1, 0, 3], [usize::MAX, 2, 2], [1 << 30, 1 << 30, 1 << 30]] {
        assert!(said(&[Op::Activation(Activation::Relu)], input).contains("it must have from 1 to 16777216 numbers"));
    }
    // Nobody reads the first row.
    let dead = [linear(&[f64::NAN, 1.0], &[0.0, 1.0]), linear(&[0.0, 1.0], &[0.0])];
    assert_eq!(said(&dead, [1, 1, 1]), "part 0: weight 0 is NaN; every number must be finite");
    assert_eq!(
        said(&[linear(&[1.0], &[f64::INFINITY])], [1, 1, 1]),
        "part 0: bias 0 is inf; every number must be finite"
    );
    let scale = Op::Scale { factor: vec![1.0], shift: vec![f64::NEG_INFINITY] };
    assert_eq!(
        said(&[linear(&[1.0], &[1.0]), scale], [1, 1, 1]),
        "part 1: shift 0 is -inf; every number must be finite"
    );
    assert_eq!(said(&[linear(&[1e300], &[1.0])], [1, 1, 1]), "part 0: weight 0 is inf; every number must be finite");
    // Every part alone may be, but each makes the image larger.
    let borders: Vec<Op> = (0..3).flat_map(|_| [pool(20_000, 19_999), Op::Flatten]).collect();
    assert!(
        said(&borders, [1, 1, 1]).contains("it must have from 1 to 16777216 numbers"),
        "{}",
        said(&borders, [1, 1, 1])
    );
    assert_eq!(said(&[pool(5, 1)], [1, 2, 2]), "part 0: a window of 5 pixels on an image of 2 x 2");
    let wide = said(&[pool(2, 2)], [1, 2, 2]);
    assert!(wide.contains("a pool of 2 x 2 pixels with a border of 2 and dilation 1"), "{wide}");
}
