//! Parameter groups: learning rates of their own for some of a network's parameters.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::compute::{Backend, Elem};
use crate::error::{Error, setting, split_name};
use crate::model::tensors::{AnyNetwork, trained};

/// Parameters with a learning rate of their own: that of the trainer or optimiser times `factor`. A parameter in several
/// groups has the product of their factors; one in no group has the rate itself.
///
/// Adam moves a parameter by about its learning rate a step, whatever the gradient. With a small rate for the means, log
/// σ² needs a larger one, or hundreds of epochs to reach the threshold of pruning:
///
/// ```
/// use sparsevd::prelude::*;
/// use sparsevd::{Group, Parameters};
///
/// let trainer = Trainer {
///     learning_rate: 1e-4,
///     groups: vec![Group::new(Parameters::LogVariances, 100.0), Group::new(Parameters::part("0"), 0.0)],
///     ..Trainer::default()
/// };
/// # assert_eq!(trainer.groups[0].factor, 100.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The parameters.
    pub parameters: Parameters,
    /// The factor of the learning rate; 0 leaves the parameters as they are.
    pub factor: f64,
}

/// Some of a network's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// The means of weights, and weights without a posterior.
    Means,
    /// The second parameters of posteriors: log σ², or log α.
    LogVariances,
    /// The biases of layers.
    Biases,
    /// The scales and biases of batch norms and layer norms: of parts that have a tensor named `scale` or `gamma`.
    Norms,
    /// All parameters of a part of the network, by its path: `"2"` or `"2.0"`, as the names of tensors begin.
    Part(String),
}

impl Parameters {
    /// A part of the network, by its path.
    pub fn part(path: impl Into<String>) -> Self {
        Parameters::Part(path.into())
    }

    /// True if a tensor with this name, and of this kind, is among them.
    fn include(&self, name: &str, kind: &Parameters) -> bool {
        match self {
            Parameters::Part(path) => {
                path.is_empty() || name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
            other => other == kind,
        }
    }

    fn words(&self) -> String {
        match self {
            Parameters::Means => "means".into(),
            Parameters::LogVariances => "log-variances".into(),
            Parameters::Biases => "biases".into(),
            Parameters::Norms => "norms".into(),
            Parameters::Part(path) => format!("part \"{path}\""),
        }
    }
}

impl Group {
    /// These parameters with this factor.
    pub fn new(parameters: Parameters, factor: f64) -> Self {
        Group { parameters, factor }
    }

    /// Checks the factor.
    pub(super) fn check(&self) -> Result<(), Error> {
        let factor = self.factor;
        setting(factor >= 0.0 && factor.is_finite(), "factor of a group", factor, "at least 0 and finite")
    }
}

/// The factor of each trained tensor that is in a group, by name.
///
/// # Errors
/// [`Error::Setting`] for a factor that is negative or not finite; [`Error::Input`] for a group without parameters.
pub(super) fn factors<E: Elem, D: Backend<E>>(
    network: &dyn AnyNetwork<E, D>,
    groups: &[Group],
) -> Result<BTreeMap<String, f64>, Error> {
    let mut factors = BTreeMap::new();
    if groups.is_empty() {
        return Ok(factors);
    }
    let names: Vec<String> = trained(network)?.into_iter().map(|(_, name)| name).collect();
    let kinds = kinds(network, &names);
    for group in groups {
        group.check()?;
        let mut found = false;
        for (name, _) in names.iter().zip(&kinds).filter(|(name, kind)| group.parameters.include(name, kind)) {
            *factors.entry(name.clone()).or_insert(1.0) *= group.factor;
            found = true;
        }
        if !found {
            let parts: Vec<String> = names.iter().map(|name| format!("\"{}\"", split_name(name).0)).collect();
            let mut once = HashSet::new();
            let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| once.insert(*part)).collect();
            return Err(Error::Input(format!(
                "groups: the network has no trained {}; its parts with parameters are {}",
                group.parameters.words(),
                parts.join(", ")
            )));
        }
    }
    Ok(factors)
}

/// The kind of each trained tensor.
fn kinds<E: Elem, D: Backend<E>>(network: &dyn AnyNetwork<E, D>, names: &[String]) -> Vec<Parameters> {
    let layers: HashSet<String> = network.layers().into_iter().map(|(path, _)| path).collect();
    let is_norm = |name: &String| matches!(split_name(name).1, "scale" | "gamma");
    let norms: HashSet<&str> = names.iter().filter(|name| is_norm(name)).map(|name| split_name(name).0).collect();
    let kind = |name: &String| match split_name(name) {
        (path, "weight") if layers.contains(path) => Parameters::Means,
        (path, "bias") if layers.contains(path) => Parameters::Biases,
        (path, _) if layers.contains(path) => Parameters::LogVariances,
        (path, _) if norms.contains(path) => Parameters::Norms,
        (_, "bias") => Parameters::Biases,
        _ => Parameters::Means,
    };
    names.iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    type Net = ((SparseVdLinear<4, 3>, BatchNorm<3>, ReLU), DenseLinear<3, 3>, dfdx::nn::builders::Linear<3, 2>);

    fn found(groups: &[(Parameters, f64)]) -> Vec<(String, f64)> {
        let net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
        let groups: Vec<Group> = groups.iter().map(|(which, factor)| Group::new(which.clone(), *factor)).collect();
        factors(&net, &groups).unwrap().into_iter().collect()
    }

    #[test]
    fn every_kind_is_found() {
        let only = |which: Parameters| found(&[(which, 2.0)]).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(only(Parameters::Means), ["0.0.weight", "1.weight", "2.weight"]);
        assert_eq!(only(Parameters::LogVariances), ["0.0.log_sigma2"]);
        assert_eq!(only(Parameters::Biases), ["0.0.bias", "1.bias", "2.bias"]);
        assert_eq!(only(Parameters::Norms), ["0.1.bias", "0.1.scale"]);
        assert_eq!(only(Parameters::part("0.0")), ["0.0.bias", "0.0.log_sigma2", "0.0.weight"]);
        assert_eq!(only(Parameters::part("")).len(), 9);
    }

    #[test]
    fn factors_of_several_groups_are_multiplied() {
        let both = found(&[(Parameters::LogVariances, 10.0), (Parameters::part("0"), 0.5)]);
        assert!(
            both.contains(&("0.0.log_sigma2".into(), 5.0)) && both.contains(&("0.1.scale".into(), 0.5)),
            "{both:?}"
        );
    }

    #[test]
    fn a_group_without_parameters_and_a_bad_factor_are_errors() {
        let net = Cpu::seed_from_u64(0).build_module::<DenseLinear<3, 2>, f32>();
        let error = |which, factor| factors(&net, &[Group::new(which, factor)]).unwrap_err().to_string();
        let none = error(Parameters::LogVariances, 2.0);
        assert_eq!(none, "groups: the network has no trained log-variances; its parts with parameters are \"\"");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(error(Parameters::Means, bad).starts_with("factor of a group = "));
        }
    }
}
