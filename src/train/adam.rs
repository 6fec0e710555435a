//! The Adam optimiser, threaded, with gradient memory that is reused from step to step.

use std::collections::BTreeMap;

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;

use super::groups::{Group, factors};
use crate::compute::dfdx_tricks::backward_into;
use crate::compute::visit::{AnyTensor, AnyTensorMut, Tensors, Visit, VisitMut, clear_gradients, zero_gradients};
use crate::compute::{Backend, Elem, Taped};
use crate::error::{Error, place, setting, split_name};
use crate::model::{Network, tensors};

/// Adam (Kingma and Ba 2015), without weight decay: a prior takes its place, and log σ² must never decay. Its moments
/// cannot be saved: for a training run that can be resumed use [`Trainer`](crate::Trainer).
///
/// On the CPU a parameter, gradient or moment whose square is subnormal (below 1.1e-19 in `f32`) counts as 0: the means of
/// masked weights decay to such numbers, at which some processors are slow.
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
pub struct Adam<E: Elem = f32, D: Backend<E> = Cpu> {
    /// The learning rate; it may be changed between steps.
    pub learning_rate: f64,
    /// The decay rates of the two moments, β₁ and β₂; 0.9 and 0.999 by default.
    pub betas: [f64; 2],
    /// ε, which is added to the denominator; 1e-8 by default.
    pub eps: f64,
    /// Factors of the learning rate by the names of tensors; 1 for others.
    factors: BTreeMap<String, f64>,
    pub(super) steps: i32,
    /// The number of steps taken before the moments were last zero.
    pub(super) begun: i32,
    pub(super) moments: Option<[Gradients<E, D>; 2]>,
    pub(super) gradients: Option<Gradients<E, D>>,
    /// The ids of the tensors to which the gradients belong.
    pub(super) trained: Vec<UniqueId>,
}

impl<E: Elem, D: Backend<E>> Adam<E, D> {
    /// An optimiser that has not seen a gradient yet. It belongs to the first network it is used on.
    pub fn new(learning_rate: f64) -> Self {
        Adam {
            learning_rate,
            betas: [0.9, 0.999],
            eps: 1e-8,
            factors: BTreeMap::new(),
            steps: 0,
            begun: 0,
            moments: None,
            gradients: None,
            trained: Vec::new(),
        }
    }

    /// This optimiser with learning rates of their own for groups of `network`'s parameters.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// use sparsevd::{Group, Parameters};
    ///
    /// # fn main() -> Result<(), Error> {
    /// let net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<4, 2>, f32>();
    /// let adam = Adam::new(1e-4).with_groups(&net, &[Group::new(Parameters::LogVariances, 100.0)])?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for a factor that is negative or not finite; [`Error::Input`] for a group without parameters.
    pub fn with_groups<N: Network<E, D> + TensorCollection<E, D>>(
        mut self,
        network: &N,
        groups: &[Group],
    ) -> Result<Self, Error> {
        self.factors = factors(network, groups)?;
        Ok(self)
    }

    /// One step: the gradient of `objective`, then the update of every trained tensor of `network`. If a tensor was
    /// replaced by another since the last step, Adam restarts, with moments of zero for all tensors. (On CUDA,
    /// `set_theta` and loading replace tensors.)
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a gradient that is NaN or infinite, [`Error::Setting`] for a learning rate that is NaN,
    /// infinite or negative: all weights and moments are then as before the step. [`Error::Input`] at the first step,
    /// or the first with another tensor, if some tensor gets no gradient; the device's.
    pub fn step<N: TensorCollection<E, D>>(
        &mut self,
        network: &mut N,
        objective: Taped<Rank0, E, D>,
    ) -> Result<(), Error> {
        self.step_of_any(network, objective)
    }

    fn step_of_any(&mut self, network: &mut dyn Tensors<E, D>, objective: Taped<Rank0, E, D>) -> Result<(), Error> {
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
            Some(memory) => backward_into(objective, memory).map_err(Error::device)?,
            None => {
                let gradients = objective.try_backward().map_err(Error::device)?;
                every_tensor_has_one(network, &gradients)?;
                gradients
            }
        };
        self.all_finite(network, &mut gradients)?;
        self.steps += 1;
        let (config, step) = (self.config(), self.steps - self.begun);
        let factors = std::mem::take(&mut self.factors);
        let moments = self.moments(network)?;
        let mut update = Update { config, factors: &factors, step, moments, gradients: &mut gradients };
        let updated = network.change_with(&mut update).map_err(Error::device);
        self.factors = factors;
        updated?;
        if first || !D::ADAM_CLEARS {
            clear_gradients(network, &mut gradients).map_err(Error::device)?;
        }
        self.gradients = Some(gradients);
        Ok(())
    }

    /// Rejects a gradient that is not finite, before it changes a weight.
    fn all_finite(&self, network: &dyn Tensors<E, D>, gradients: &mut Gradients<E, D>) -> Result<(), Error> {
        let mut bad = NotFinite { gradients, found: None };
        network.read_with(&mut bad).map_err(Error::device)?;
        let Some((tensor, value)) = bad.found else { return Ok(()) };
        let (path, name) = split_name(&tensor);
        Err(Error::not_finite(format!("the gradient of {name}"), value, place(path)))
    }

    /// Restarts if a tensor was replaced by another.
    pub(super) fn follow(&mut self, network: &dyn Tensors<E, D>) -> Result<(), Error> {
        let trained: Vec<UniqueId> = tensors::trained(network)?.into_iter().map(|(id, _)| id).collect();
        if trained != self.trained {
            if !self.trained.is_empty() {
                (self.begun, self.moments) = (self.steps, None);
            }
            (self.trained, self.gradients) = (trained, None);
        }
        Ok(())
    }

    /// The two moments of every trained tensor, zero at first. They are stored as gradients: dfdx has no other memory
    /// that belongs to a tensor, can be updated on any device, and can be read and written from here.
    pub(super) fn moments(&mut self, network: &dyn Tensors<E, D>) -> Result<&mut [Gradients<E, D>; 2], Error> {
        let moments = match self.moments.take() {
            Some(moments) => moments,
            None => {
                let zeros = || zero_gradients(network).map_err(Error::device);
                [zeros()?, zeros()?]
            }
        };
        Ok(self.moments.insert(moments))
    }

    fn config(&self) -> AdamConfig {
        AdamConfig { lr: self.learning_rate, betas: self.betas, eps: self.eps, weight_decay: None }
    }
}

/// `Ok` if every parameter has a gradient.
fn every_tensor_has_one<E: Elem, D: Backend<E>>(
    network: &mut dyn Tensors<E, D>,
    gradients: &Gradients<E, D>,
) -> Result<(), Error> {
    struct Without<'a, E: Elem, D: Backend<E>>(&'a Gradients<E, D>, Vec<String>);
    impl<E: Elem, D: Backend<E>> VisitMut<E, D> for Without<'_, E, D> {
        fn tensor(&mut self, name: String, _trained: bool, tensor: &mut dyn AnyTensorMut<E, D>) -> Result<(), D::Err> {
            if tensor.without_gradient(self.0)? {
                self.1.push(name);
            }
            Ok(())
        }
    }
    let mut without = Without(gradients, Vec::new());
    network.change_with(&mut without).map_err(Error::device)?;
    let Without(_, names) = without;
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::Input(format!("no gradient for {}; the objective must depend on each parameter", names.join(", "))))
}

/// The update of one tensor after the other.
struct Update<'a, E: Elem, D: Backend<E>> {
    config: AdamConfig,
    factors: &'a BTreeMap<String, f64>,
    step: i32,
    moments: &'a mut [Gradients<E, D>; 2],
    gradients: &'a mut Gradients<E, D>,
}

impl<E: Elem, D: Backend<E>> VisitMut<E, D> for Update<'_, E, D> {
    fn tensor(&mut self, name: String, trained: bool, tensor: &mut dyn AnyTensorMut<E, D>) -> Result<(), D::Err> {
        if !trained {
            return Ok(());
        }
        let lr = self.config.lr * self.factors.get(&name).unwrap_or(&1.0);
        tensor.adam(self.moments, self.gradients, &AdamConfig { lr, ..self.config }, self.step)
    }
}

/// A search for the first tensor whose gradient holds a NaN or an infinity.
struct NotFinite<'a, E: Elem, D: Backend<E>> {
    gradients: &'a mut Gradients<E, D>,
    found: Option<(String, f64)>,
}

impl<E: Elem, D: Backend<E>> Visit<E, D> for NotFinite<'_, E, D> {
    fn tensor(&mut self, name: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
        if trained && self.found.is_none() {
            self.found = tensor.not_finite(self.gradients)?.map(|value| (name, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;
    use crate::priors::{Additive, LogUniform};
    use crate::{LinearMap, VariationalLinear, modules};
    use dfdx::optim::Optimizer;

    #[test]
    fn a_tensor_without_gradient_is_reported() {
        let mut layer = Cpu::seed_from_u64(1).build_module::<VariationalLinear<3, 2, LogUniform>, f32>();
        let kl = layer.kl().unwrap();
        assert!(matches!(Adam::new(0.01).step(&mut layer, kl), Err(Error::Input(_))), "the KL does not see the bias");
    }

    /// Checked against dfdx's Adam over a few steps of the same network, both in single precision.
    #[test]
    fn takes_the_steps_that_dfdx_takes() {
        let device = Cpu::seed_from_u64(1);
        let mut ours = device.build_module::<VariationalLinear<150, 120, LogUniform>, f32>();
        let mut theirs = ours.clone();
        let (mut adam, mut reference) =
            (Adam::new(0.01), dfdx::optim::Adam::new(&theirs, AdamConfig { lr: 0.01, ..Default::default() }));
        fn objective(layer: &modules::Variational<LinearMap<150, 120>, Additive, LogUniform>) -> Taped<Rank0> {
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
