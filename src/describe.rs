//! What files say about layers.

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::error::{part, place};
use crate::layer::Settings;
use crate::network::Kinds;

/// The version of dfdx, for files.
pub(crate) const DFDX: &str = "0.13.0";

/// A variational layer in words: what a file of its numbers must fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The map with its sizes, such as `LinearMap { inputs: 784, outputs: 300, bias: true }`.
    pub map: String,
    /// The posterior family with its settings, such as `Additive`.
    pub posterior: String,
    /// The prior with its hyper-parameters, such as `StudentT { .. }`.
    pub prior: String,
    /// How it trains.
    pub settings: Settings,
}

impl Description {
    pub(crate) fn of(map: &impl Debug, posterior: &impl Debug, prior: &impl Debug, settings: Settings) -> Self {
        Description { map: named(map), posterior: named(posterior), prior: named(prior), settings }
    }
}

/// What differs between layers and those of a file, in words; with `settings`, how they train too.
pub(crate) fn differences(
    here: &[(String, Description)],
    file: &[(String, Description)],
    settings: bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let twice = |i: &usize| file[..*i].iter().any(|(path, _)| *path == file[*i].0);
    let again = (0..file.len()).filter(twice).map(|i| format!("the file describes {} twice", place(&file[i].0)));
    problems.extend(again);
    for (path, layer) in here {
        let Some((_, saved)) = file.iter().find(|(other, _)| other == path) else {
            problems.push(format!("the file has {}", absence(path)));
            continue;
        };
        let mut compare = |what: &str, saved: &str, here: &str| {
            if saved != here {
                problems.push(format!("{}: its {what} is {saved} in the file, {here} here", place(path)));
            }
        };
        compare("map", &saved.map, &layer.map);
        compare("posterior", &saved.posterior, &layer.posterior);
        compare("prior", &saved.prior, &layer.prior);
        if settings {
            compare("settings", &format!("{:?}", saved.settings), &format!("{:?}", layer.settings));
        }
    }
    let absent = file.iter().filter(|(path, _)| here.iter().all(|(other, _)| other != path));
    problems.extend(absent.map(|(path, _)| format!("the network has {}", absence(path))));
    problems
}

/// What differs between the parts without parameters and those of a file, in words. Files did not always name them.
pub(crate) fn other_kinds(here: &Kinds, file: Option<&Kinds>) -> Vec<String> {
    let Some(file) = file else { return Vec::new() };
    let find = |kinds: &Kinds, path: &str| Some(kinds.iter().find(|(other, _)| other == path)?.1.clone());
    let paths: BTreeSet<&String> = here.iter().chain(file).map(|(path, _)| path).collect();
    let differs = |path: &String| {
        let part = part(path);
        match (find(file, path), find(here, path)) {
            (Some(saved), Some(here)) if saved != here => Some(format!("{part} is {saved} in the file, {here} here")),
            (Some(saved), None) => Some(format!("{part} is {saved} in the file, not here")),
            (None, Some(here)) => Some(format!("{part} is {here} here, not in the file")),
            _ => None,
        }
    };
    paths.into_iter().filter_map(differs).collect()
}

/// What is missing where a layer is not found. A network that is but one layer has no path for it.
fn absence(path: &str) -> String {
    if path.is_empty() { "more parts than one layer".into() } else { format!("no layer {path}") }
}

/// A value with the name of its type, which an enum's `Debug` leaves out.
pub(crate) fn named<T: Debug>(value: &T) -> String {
    let (name, value) = (type_alone::<T>(), format!("{value:?}"));
    if value.starts_with(name) { value } else { format!("{name}::{value}") }
}

/// The name of a type as its user writes it, such as `Residual<..>`.
pub(crate) fn type_in_words<T: ?Sized>() -> String {
    let generic = if type_name::<T>().contains('<') { "<..>" } else { "" };
    format!("{}{generic}", type_alone::<T>())
}

/// Without path and arguments.
fn type_alone<T: ?Sized>() -> &'static str {
    let path = type_name::<T>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priors::{Ard, LogUniform, StudentT};
    use crate::{Additive, Bernoulli, Conv2dMap, Fixed, LinearMap, Multiplicative};

    #[test]
    fn names_are_those_of_the_code() {
        assert_eq!(named(&LinearMap::<64, 300>), "LinearMap { inputs: 64, outputs: 300, bias: true }");
        assert_eq!(
            named(&Conv2dMap::<4, 20, 5, 2, 1, 3, 2, 2, false>),
            "Conv2dMap { inputs: 4, outputs: 20, kernel: 5, stride: 2, pad: 1, dilation: 3, groups: 2, bias: false }"
        );
        assert_eq!(named(&Additive), "Additive");
        assert_eq!(named(&Multiplicative::<Fixed>::default()), "Multiplicative(Fixed)");
        assert_eq!(named(&Bernoulli::new(0.25).unwrap()), "Bernoulli { rate: 0.25 }");
        assert_eq!(named(&LogUniform::default()), format!("LogUniform::{:?}", LogUniform::default()));
        assert_eq!(named(&StudentT::default()), format!("{:?}", StudentT::default()));
        assert_ne!(named(&Ard::per_output()), named(&Ard::default()));
        assert_eq!(type_in_words::<dfdx::nn::modules::Residual<(LinearMap<1, 2>, Ard)>>(), "Residual<..>");
        assert_eq!(type_in_words::<Ard>(), "Ard");
    }

    #[test]
    fn every_difference_is_named() {
        let layer = |prior: &str, settings| Description {
            map: "LinearMap<2, 3>".into(),
            posterior: "Additive".into(),
            prior: prior.into(),
            settings,
        };
        let composed = Settings { composed: true, ..Settings::default() };
        let here = [("0".into(), layer("A", composed)), ("2".into(), layer("A", composed))];
        let file = [("0".into(), layer("B", Settings::default())), ("4".into(), layer("A", composed))];
        let found = differences(&here, &file, false);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "layer 0: its prior is B in the file, A here");
        assert_eq!(found[1], "the file has no layer 2");
        assert_eq!(found[2], "the network has no layer 4");
        assert_eq!(differences(&here, &file, true).len(), 4);
        assert!(differences(&here, &here, true).is_empty());
    }
}
