//! The identity of layers in files.

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sparsevd_priors::{Posterior, Prior};

use crate::error::{part, place};
use crate::spec::{Map, Settings};

/// Parts of a network, each with its path, such as `"0"` or `"2.0"`.
pub type ByPath<T> = Vec<(String, T)>;

/// The version of dfdx, for files.
pub(crate) const DFDX: &str = "0.13.0";

/// A map, posterior or prior in a file: its stable identifier, and its parameters as values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Identity {
    /// The identifier, such as `student_t`.
    pub id: String,
    /// The parameters by name, such as `{"nu": 1.0, "scale": 0.1}`; `null` if there are none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
    /// True if it is text, as in files of format 1.
    #[serde(skip)]
    text: bool,
}

/// An identity in a file of either format.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    /// Format 1: the `Debug` text of the type.
    Text(String),
    Values {
        id: String,
        #[serde(default)]
        parameters: Value,
    },
}

impl From<Written> for Identity {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(id) => Identity { id, parameters: Value::Null, text: true },
            Written::Values { id, parameters } => Identity { id, parameters, text: false },
        }
    }
}

impl Identity {
    /// The identity of a prior.
    pub fn of_prior<P: Prior>(prior: &P) -> Self {
        Identity::new(P::ID, prior)
    }

    fn new(id: &str, parameters: &impl Serialize) -> Self {
        // A value that JSON cannot hold becomes an error's text, which differs from everything in a file.
        let parameters = serde_json::to_value(parameters).unwrap_or_else(|error| Value::String(error.to_string()));
        Identity { id: id.into(), parameters, text: false }
    }
}

/// Shown as `student_t {"nu":1.0,"scale":0.1}`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parameters {
            Value::Null => f.write_str(&self.id),
            Value::String(value) => write!(f, "{} {value}", self.id),
            parameters => write!(f, "{} {parameters}", self.id),
        }
    }
}

/// The identity of a layer, which a file of its numbers must match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The map with its sizes.
    pub map: Identity,
    /// The posterior family with its settings.
    pub posterior: Identity,
    /// The prior with its hyper-parameters.
    pub prior: Identity,
    /// The training settings.
    pub settings: Settings,
}

impl Description {
    pub(crate) fn of<M: Map, Q: Posterior, P: Prior>(map: &M, posterior: &Q, prior: &P, settings: Settings) -> Self {
        let (map, posterior) = (Identity::new(M::ID, map), Identity::new(Q::ID, posterior));
        Description { map, posterior, prior: Identity::of_prior(prior), settings }
    }

    /// True if it is from a file of format 1, which identifies layers by text.
    pub(crate) fn is_text(&self) -> bool {
        [&self.map, &self.posterior, &self.prior].into_iter().any(|identity| identity.text)
    }
}

/// The differences between layers and those of a file, in words; with `settings`, also those of the training settings.
/// Layers of format 1 are compared by path only.
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
        let mut differs = |what: &str, saved: &dyn fmt::Display, here: &dyn fmt::Display| {
            problems.push(format!("{}: its {what} is {saved} in the file, {here} here", place(path)));
        };
        let pairs = [
            ("map", &saved.map, &layer.map),
            ("posterior", &saved.posterior, &layer.posterior),
            ("prior", &saved.prior, &layer.prior),
        ];
        for (what, saved, here) in pairs.into_iter().filter(|(_, saved, here)| saved != here && !saved.text) {
            differs(what, saved, here);
        }
        if settings && saved.settings != layer.settings {
            let [saved, here] = [saved.settings, layer.settings].map(|settings| json(&settings));
            differs("settings", &saved, &here);
        }
    }
    let absent = file.iter().filter(|(path, _)| here.iter().all(|(other, _)| other != path));
    problems.extend(absent.map(|(path, _)| format!("the network has {}", absence(path))));
    problems
}

/// The differences between the parts without parameters and those of a file, in words. Older files do not store them.
pub(crate) fn other_kinds(here: &ByPath<String>, file: Option<&ByPath<String>>) -> Vec<String> {
    let Some(file) = file else { return Vec::new() };
    let find = |kinds: &ByPath<String>, path: &str| Some(kinds.iter().find(|(other, _)| other == path)?.1.clone());
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

/// An absent layer, in words. In a network that is a single layer, the layer's path is empty.
fn absence(path: &str) -> String {
    if path.is_empty() { "more parts than one layer".into() } else { format!("no layer {path}") }
}

/// The name of a type as its user writes it, such as `Residual<..>`.
pub(crate) fn type_in_words<T: ?Sized>() -> String {
    let generic = if type_name::<T>().contains('<') { "<..>" } else { "" };
    format!("{}{generic}", type_alone::<T>())
}

/// A value as a file holds it.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}

/// The name of a type, without path and arguments.
fn type_alone<T: ?Sized>() -> &'static str {
    let path = type_name::<T>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Conv2dMap, Estimator, LinearMap, Masking};
    use sparsevd_priors::{Additive, Ard, Bernoulli, Fixed, LogUniform, Multiplicative, StudentT};

    #[test]
    fn identities_are_stable() {
        let of = |id: Identity| serde_json::to_string(&id).unwrap();
        assert_eq!(
            of(Identity::new(LinearMap::<64, 300>::ID, &LinearMap::<64, 300>)),
            r#"{"id":"linear","parameters":{"bias":true,"inputs":64,"outputs":300}}"#
        );
        type Map = Conv2dMap<4, 20, 5, 2, 1, 3, 2, 2, false>;
        assert_eq!(
            Identity::new(Map::ID, &Map::default()).to_string(),
            r#"conv2d {"bias":false,"dilation":3,"groups":2,"inputs":4,"kernel":5,"outputs":20,"pad":1,"stride":2}"#
        );
        assert_eq!(of(Identity::new(Additive::ID, &Additive)), r#"{"id":"additive"}"#);
        type Dropout = Multiplicative<Fixed>;
        assert_eq!(Identity::new(Dropout::ID, &Dropout::default()).to_string(), r#"multiplicative {"alpha":"fixed"}"#);
        let half = Bernoulli::new(0.25).unwrap();
        assert_eq!(Identity::new(Bernoulli::ID, &half).to_string(), r#"bernoulli {"rate":0.25}"#);
        assert_eq!(Identity::of_prior(&LogUniform::default()).to_string(), "log_uniform fit");
        assert_eq!(Identity::of_prior(&StudentT::default()).to_string(), r#"student_t {"nu":1.0,"scale":1.0}"#);
        assert_ne!(Identity::of_prior(&Ard::per_output()), Identity::of_prior(&Ard::default()));
        assert_eq!(type_in_words::<dfdx::nn::modules::Residual<(LinearMap<1, 2>, Ard)>>(), "Residual<..>");
        assert_eq!(type_in_words::<Ard>(), "Ard");
    }

    /// Text cannot be compared with values.
    #[test]
    fn format_1_is_read_and_not_compared() {
        let layer = r#"{"map":"LinearMap { inputs: 2, outputs: 3, bias: true }","posterior":"Additive",
            "prior":"StudentT { nu: 1.0, scale: 1.0, ln_peak: -1.1447298858494002 }",
            "settings":{"estimator":"flipout","threshold":3.0,"switch_off":"weight","composed":false}}"#;
        let old: Description = serde_json::from_str(layer).unwrap();
        assert!(old.is_text());
        assert_eq!(old.prior.to_string(), "StudentT { nu: 1.0, scale: 1.0, ln_peak: -1.1447298858494002 }");
        assert_eq!(old.settings, Settings { estimator: Estimator::Flipout, masking: Masking::Weights(3.0) });
        let here = Description::of(&LinearMap::<2, 3>, &Additive, &LogUniform::Fit, Settings::default());
        assert!(differences(&[("0".into(), here.clone())], &[("0".into(), old.clone())], false).is_empty());
        assert_eq!(differences(&[("0".into(), here)], &[("2".into(), old)], false).len(), 2);
    }

    /// Numbers are compared by value, not by notation.
    #[test]
    fn values_are_compared_not_text() {
        let read = |text: &str| serde_json::from_str::<Identity>(text).unwrap();
        let a = read(r#"{"id":"student_t","parameters":{"nu":1.0,"scale":0.1}}"#);
        assert_eq!(a, read(r#"{"parameters":{"scale":1e-1,"nu":10e-1},"id":"student_t"}"#));
        assert_ne!(a, read(r#"{"id":"student_t","parameters":{"nu":1.0,"scale":0.2}}"#));
    }

    #[test]
    fn every_difference_is_named() {
        let layer = |prior: &str, settings| Description {
            map: Identity::new("linear", &()),
            posterior: Identity::new("additive", &()),
            prior: Identity::new(prior, &()),
            settings,
        };
        let sampled = Settings { estimator: Estimator::WeightSampling, ..Settings::default() };
        let here = [("0".into(), layer("A", sampled)), ("2".into(), layer("A", sampled))];
        let file = [("0".into(), layer("B", Settings::default())), ("4".into(), layer("A", sampled))];
        let found = differences(&here, &file, false);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "layer 0: its prior is B in the file, A here");
        assert_eq!(found[1], "the file has no layer 2");
        assert_eq!(found[2], "the network has no layer 4");
        assert_eq!(differences(&here, &file, true).len(), 4);
        assert!(differences(&here, &here, true).is_empty());
    }
}
