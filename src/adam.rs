//! The Adam optimiser, threaded, with gradient memory that is reused from step to step.

mod state;

use dfdx::nn::ZeroGrads;
use dfdx::nn::tensor_collection::*;
use dfdx::optim::{Optimizer, OptimizerUpdateError, Sgd, SgdConfig};
use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;

use crate::backend::{Backend, Elem, Taped};
use crate::error::{Error, place, setting, split_name};
use crate::finite::not_finite;
use crate::tensors;

/// Adam (Kingma and Ba 2015), without weight decay: a prior is the better place for that, and log sigma^2 must never
/// decay. Its moments cannot be saved: a training that is to be resumed is a [`Trainer`](crate::Trainer)'s.
///
/// ```
/// use sparsevd::prelude::*;
///
/// # fn main() -> Result<(), Error> {
/// let device = Cpu::seed_from_u64(0);
/// let mut net = device.build_module::<SparseVdLinear<4, 2>, f32>();
/// let (mut adam, elbo) = (Adam::new(1e-3), Elbo::new(1000)?);
/// for epoch in 0..3 {
///     let x: Tensor<(usize, Const<4>), f32, _> = device.sample_normal_like(&(8, Const));
///     let x = net.input(x);
///     let nll = categorical(net.forward_mut(x), &[0, 1, 0, 1, 0, 1, 0, 1])?;
///     let loss = elbo.loss(&net, nll, epoch as f64)?;
///     adam.step(&mut net, loss.objective)?;
/// }
/// # Ok(()) }
/// ```
pub struct Adam<E: Elem, D: Backend<E>> {
    /// The learning rate; change it between steps as you like.
    pub learning_rate: f64,
    /// The decay rates of the two moments; 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator; 1e-8.
    pub eps: f64,
    steps: i32,
    /// How many of them there were before the moments were zero.
    begun: i32,
    moments: Option<[Gradients<E, D>; 2]>,
    gradients: Option<Gradients<E, D>>,
    /// What the memory of the gradients is for.
    trained: Vec<UniqueId>,
}

impl<E: Elem, D: Backend<E>> Adam<E, D> {
    /// An optimiser that has not seen a gradient yet. It belongs to the first network it is used on.
    pub fn new(learning_rate: f64) -> Self {
        Adam {
            learning_rate,
            betas: [0.9, 0.999],
            eps: 1e-8,
            steps: 0,
            begun: 0,
            moments: None,
            gradients: None,
            trained: Vec::new(),
        }
    }

    /// One step: the gradient of `objective`, then the update of every trained tensor of `network`. Where a tensor was
    /// put in the place of another since the last step, Adam begins anew, with moments of zero for all. (On CUDA,
    /// `set_theta` and loading put new ones in place.)
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a gradient that is NaN or infinite, [`Error::Setting`] for such a learning rate or a
    /// negative one: all weights and moments are then as before the step. [`Error::Input`] at the first step, or the
    /// first with another tensor, if some tensor gets no gradient; the device's.
    pub fn step<N: TensorCollection<E, D>>(
        &mut self,
        network: &mut N,
        objective: Taped<Rank0, E, D>,
    ) -> Result<(), Error> {
        let rate = self.learning_rate;
        setting(
            rate >= 0.0 && E::of(rate).is_finite(),
            "learning_rate",
            rate,
            "at least 0, and finite in the network's precision",
        )?;
        self.follow(network)?;
        let first = self.gradients.is_none();
        let mut gradients = match self.gradients.take() {
            Some(memory) => with_memory(objective, memory).map_err(Error::device)?,
            None => {
                let gradients = objective.try_backward().map_err(Error::device)?;
                every_tensor_has_one(network, &gradients)?;
                gradients
            }
        };
        self.all_finite(network, &mut gradients)?;
        self.steps += 1;
        let (config, step) = (self.config(), self.steps - self.begun);
        let mut update = Update { config, step, moments: self.moments(network)?, gradients: &mut gradients };
        N::iter_tensors(&mut RecursiveWalker { m: &mut *network, f: &mut update }).map_err(Error::device)?;
        if first || !D::ADAM_CLEARS {
            network.try_zero_grads(&mut gradients).map_err(Error::device)?;
        }
        self.gradients = Some(gradients);
        Ok(())
    }

    /// Refuses a gradient that is not finite, before it spoils a weight.
    fn all_finite<N: TensorCollection<E, D>>(&self, network: &N, gradients: &mut Gradients<E, D>) -> Result<(), Error> {
        let mut bad = NotFinite { gradients, found: None };
        N::iter_tensors(&mut RecursiveWalker { m: network, f: &mut bad }).map_err(Error::device)?;
        let Some((tensor, value)) = bad.found else { return Ok(()) };
        let names = tensors::names_of(network, &[tensor])?;
        let (path, name) = split_name(names.first().map_or("", String::as_str));
        Err(not_finite(format!("the gradient of {name}"), value, place(path)))
    }

    /// Begins anew where a tensor was put in the place of another.
    fn follow<N: TensorCollection<E, D>>(&mut self, network: &N) -> Result<(), Error> {
        let trained = tensors::trained_ids(network)?;
        if trained != self.trained {
            if !self.trained.is_empty() {
                (self.begun, self.moments) = (self.steps, None);
            }
            (self.trained, self.gradients) = (trained, None);
        }
        Ok(())
    }

    /// The two moments of every trained tensor, zero at first. They are kept as gradients are: dfdx has no other memory
    /// that belongs to a tensor, can be updated on any device, and can be read and written from here.
    fn moments<N: TensorCollection<E, D>>(&mut self, network: &N) -> Result<&mut [Gradients<E, D>; 2], Error> {
        let moments = match self.moments.take() {
            Some(moments) => moments,
            None => {
                let zeros = || network.try_alloc_grads().map_err(Error::device);
                [zeros()?, zeros()?]
            }
        };
        Ok(self.moments.insert(moments))
    }

    fn config(&self) -> AdamConfig {
        AdamConfig { lr: self.learning_rate, betas: self.betas, eps: self.eps, weight_decay: None }
    }
}

/// The gradient of `objective`, added to what is in `memory`.
fn with_memory<E: Elem, D: Backend<E>>(
    objective: Taped<Rank0, E, D>,
    memory: Gradients<E, D>,
) -> Result<Gradients<E, D>, D::Err> {
    // A zero whose tape carries the memory: adding it hands the memory to the objective's tape.
    let zero: Tensor<Rank0, E, D> = objective.device().try_zeros()?;
    objective.try_add(zero.traced(memory))?.try_backward()
}

/// dfdx's optimisers notice tensors without a gradient; a step of length zero makes one of them look.
fn every_tensor_has_one<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &mut N,
    gradients: &Gradients<E, D>,
) -> Result<(), Error> {
    let mut still = Sgd::new(&*network, SgdConfig { lr: 0.0, ..SgdConfig::default() });
    match still.update(network, gradients) {
        Ok(()) => Ok(()),
        Err(OptimizerUpdateError::DeviceError(error)) => Err(Error::device(error)),
        Err(OptimizerUpdateError::UnusedParams(unused)) => Err(Error::Input(format!(
            "no gradient for {}; the objective must depend on each parameter",
            tensors::names_of(network, &unused.ids)?.join(", ")
        ))),
    }
}

/// The update of one tensor after the other.
struct Update<'a, E: Elem, D: Backend<E>> {
    config: AdamConfig,
    step: i32,
    moments: &'a mut [Gradients<E, D>; 2],
    gradients: &'a mut Gradients<E, D>,
}

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Update<'_, E, D> {
    type Viewer = ViewTensorMut;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &mut Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            let [m, v] = &mut *self.moments;
            let moments = [m.get_or_alloc_mut(tensor)?, v.get_or_alloc_mut(tensor)?];
            D::adam(tensor, moments, self.gradients.get_or_alloc_mut(tensor)?, &self.config, self.step)?;
        }
        Ok(None)
    }
}

/// Looks for the first tensor whose gradient holds a NaN or an infinity.
struct NotFinite<'a, E: Elem, D: Backend<E>> {
    gradients: &'a mut Gradients<E, D>,
    found: Option<(UniqueId, f64)>,
}

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for NotFinite<'_, E, D> {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update && self.found.is_none() {
            let value = D::not_finite(tensor, self.gradients)?;
            self.found = value.map(|value| (tensors::id(tensor), value));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VariationalLinear;

    #[test]
    fn a_tensor_without_gradient_is_reported() {
        let mut layer = Cpu::seed_from_u64(1).build_module::<VariationalLinear<3, 2, crate::priors::LogUniform>, f32>();
        let kl = layer.kl().unwrap();
        assert!(matches!(Adam::new(0.01).step(&mut layer, kl), Err(Error::Input(_))), "the KL does not see the bias");
    }

    /// Ours is held against dfdx's over a few steps of the same network; both are single precision.
    #[test]
    fn takes_the_steps_that_dfdx_takes() {
        let device = Cpu::seed_from_u64(1);
        let mut ours = device.build_module::<VariationalLinear<150, 120, crate::priors::LogUniform>, f32>();
        let mut theirs = ours.clone();
        let (mut adam, mut reference) =
            (Adam::new(0.01), dfdx::optim::Adam::new(&theirs, AdamConfig { lr: 0.01, ..Default::default() }));
        fn objective(
            layer: &crate::Layer<crate::LinearMap<150, 120>, crate::Additive, crate::priors::LogUniform, f32, Cpu>,
        ) -> Taped<Rank0, f32, Cpu> {
            layer.kl().unwrap() + layer.bias.leaky_trace().square().sum()
        }
        for _ in 0..5 {
            let gradients = objective(&theirs).backward();
            let own = objective(&ours);
            adam.step(&mut ours, own).unwrap();
            reference.update(&mut theirs, &gradients).unwrap();
        }
        for (a, b) in [(ours.theta.as_vec(), theirs.theta.as_vec()), (ours.spread.as_vec(), theirs.spread.as_vec())] {
            a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 2e-6 * (1.0 + b.abs()), "{a} {b}"));
        }
        assert!((ours.spread.as_vec()[0] + 10.0).abs() > 0.04, "five steps of 0.01 go somewhere");
    }
}
