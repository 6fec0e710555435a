//! The choice of the fastest form for each layer.

use std::hint::black_box;
use std::time::Instant;

use crate::form::Form;
use crate::layer::Layer;
use crate::matrix::Matrix;
use crate::net::{CompactNet, Scratch};
use crate::parts::Parts;

impl Layer {
    /// The form of its weights.
    pub fn form(&self) -> Form {
        match self.parts().matrix {
            Matrix::Csr(_) => Form::Csr,
            Matrix::Dense(_) => Form::Dense,
        }
    }

    /// The form that is estimated to be faster for batches of this size; [`CompactNet::tuned`] measures it instead.
    pub fn best_form(&self, batch: usize) -> Form {
        let (parts, positions) = (self.parts(), self.positions());
        let [rows, cols] = [parts.bias.len(), parts.matrix.read().len()];
        let cost = Cost { rows, cols, kept: parts.matrix.kept(), positions, batch };
        if cost.dense() < cost.csr() { Form::Dense } else { Form::Csr }
    }

    /// The form that is faster here for batches of this size: each runs in turn, and the shortest times count.
    fn faster_form(&self, batch: usize) -> Form {
        let forms = [Form::Csr, Form::Dense].map(|form| (form, self.in_form(form)));
        let [(_, Ok(csr)), (_, Ok(dense))] = forms else { return self.form() };
        let nets = [csr, dense].map(|layer| CompactNet { input: self.parts().input, layers: vec![layer] });
        let x: Vec<f32> = (0..batch * nets[0].inputs()).map(|i| (i % 7) as f32 - 3.0).collect();
        let (mut scratch, mut least) = (Scratch::default(), [f64::INFINITY; 2]);
        for _ in 0..ROUNDS {
            for (net, least) in nets.iter().zip(&mut least) {
                *least = least.min(seconds(net, &x, &mut scratch));
            }
        }
        if least[1] < least[0] { Form::Dense } else { Form::Csr }
    }

    pub(crate) fn in_form(&self, form: Form) -> Result<Layer, String> {
        let matrix = match (&self.parts().matrix, form) {
            (Matrix::Csr(csr), Form::Dense) => Matrix::Dense(csr.dense()),
            (Matrix::Dense(dense), Form::Csr) => Matrix::Csr(dense.csr(self.parts().bias.len())),
            (same, _) => same.clone(),
        };
        Layer::new(Parts { matrix, ..self.parts().clone() })
    }
}

/// The number of measurements of each form.
const ROUNDS: usize = 5;

/// The seconds of a pass: the mean of as many as fit into a tenth of a millisecond, after one that warms up.
fn seconds(net: &CompactNet, x: &[f32], scratch: &mut Scratch) -> f64 {
    let mut pass = || {
        let _ = black_box(net.forward(black_box(x), scratch));
    };
    pass();
    let (start, mut passes) = (Instant::now(), 0);
    while passes == 0 || start.elapsed().as_secs_f64() < 1e-4 {
        pass();
        passes += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(passes)
}

impl CompactNet {
    /// The same network, with each layer in the form that is faster on this machine for batches of this size, on one
    /// thread: a measurement of about a millisecond for each layer. The outputs of the two forms differ by rounding.
    /// [`compact`](crate::compact) estimates, for batches of 100, so that its files do not depend on the machine.
    #[must_use]
    pub fn tuned(&self, batch: usize) -> Self {
        self.with_forms(|layer| layer.faster_form(batch.max(1)))
    }

    /// The same network, with each layer in a form of your choice.
    #[must_use]
    pub fn with_forms(&self, choose: impl Fn(&Layer) -> Form) -> Self {
        // The conversion of a valid layer cannot fail; if it did, the layer would keep its form.
        let layers = self.layers.iter().map(|l| l.in_form(choose(l)).unwrap_or_else(|_| l.clone())).collect();
        CompactNet { input: self.input, layers }
    }
}

/// The sizes that the running time of a layer depends on; the estimates are in nanoseconds.
///
/// [`compact`](crate::compact) chooses by it. The constants are fitted to measurements (paper-notes/compact.md and speed.md); only the point where the two
/// estimates are equal matters.
struct Cost {
    rows: usize,
    cols: usize,
    kept: usize,
    positions: usize,
    batch: usize,
}

impl Cost {
    fn numbers(&self) -> f64 {
        (self.positions * self.batch) as f64
    }

    /// The time with sparse rows. A weight multiplies sixteen neighbouring numbers in the time of one. In images of
    /// several examples they come from a nearer cache; the lines of a single image are short.
    fn csr(&self) -> f64 {
        let (each, least) = match (self.positions, self.batch) {
            (1, 1) => (0.33, 0.33),
            (1, _) => (0.046, 1.0),
            (_, 1) => (0.15, 1.0),
            _ => (0.029, 1.0),
        };
        f64::max(each * self.numbers(), least) * self.kept as f64
    }

    /// The time with a dense matrix. Products run at a constant rate if there are enough examples; for a single one the
    /// weights come from memory.
    fn dense(&self) -> f64 {
        let each = match self.batch {
            1 => 0.05,
            2..16 => 0.038,
            _ => 0.02,
        };
        let unfold = if self.positions > 1 { 0.3 } else { 0.0 };
        100.0 + (each * self.rows as f64 + unfold) * self.cols as f64 * self.numbers()
    }
}
