//! The checkpoint codec: a training run as a file, and back.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sparsevd_infer::{Container, FileError};

use super::adam::Adam;
use super::adam_state::tensor_of_moment;
use super::checkpoint::{KIND, VERSION};
use super::history::{Epoch, History, in_range};
use super::trainer::Trainer;
use crate::compute::{Backend, Elem};
use crate::data::{Dataset, Layout};
use crate::error::{Error, place, split_name};
use crate::io::scalars::{self, Scalars};
use crate::io::sound;
use crate::model::describe::{DFDX, Description, differences, other_kinds};
use crate::model::tensors::{self, AnyNetwork, Named, all_fit, by_name, entries, fit, parameters};
use crate::model::{ByPath, kinds};

/// The progress of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The current epoch.
    pub(crate) epoch: usize,
    /// The number of steps done in it.
    pub(crate) step: usize,
    /// The summed negative log-likelihoods of these steps.
    pub(crate) nll: f64,
    /// The KL at the last of these steps.
    pub(crate) kl: f64,
    /// The number of misclassified examples in these steps.
    pub(crate) wrong: usize,
    /// The time that these steps took.
    pub(crate) seconds: f64,
    pub(crate) history: History,
}

impl Progress {
    /// Ends the epoch.
    pub(crate) fn next(&mut self, record: Epoch) {
        let mut history = std::mem::take(&mut self.history);
        history.epochs.push(record);
        *self = Progress { epoch: self.epoch + 1, history, ..Progress::default() };
    }

    /// `Ok` if it is a possible progress of a training run of this length.
    fn check(&self, trainer: &Trainer, per_epoch: usize, steps: i32) -> Result<(), FileError> {
        let Progress { epoch, step, nll, kl, wrong, seconds, history } = self;
        let consistent = history.epochs.len() == *epoch
            && (*epoch < trainer.epochs && *step < per_epoch || *epoch == trainer.epochs && *step == 0)
            && epoch.checked_mul(per_epoch).and_then(|n| n.checked_add(*step)) == usize::try_from(steps).ok();
        if !consistent {
            return Err(FileError::structure(
                "progress",
                format!(
                    "epoch {epoch}, step {step}, after {steps} steps and {} epochs of history; this training run \
                     has {} epochs of {per_epoch} steps",
                    history.epochs.len(),
                    trainer.epochs
                ),
            ));
        }
        in_range("progress", "nll", *nll, f64::MIN..=f64::MAX)?;
        in_range("progress", "kl", *kl, f64::MIN..=f64::MAX)?;
        in_range("progress", "seconds", *seconds, 0.0..=f64::MAX)?;
        in_range("progress", "wrong", *wrong as f64, 0.0..=step.saturating_mul(trainer.batch) as f64)?;
        history.check()
    }
}

/// The metadata of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    dfdx: String,
    trainer: Trainer,
    data: Fingerprint,
    layers: ByPath<Description>,
    /// The parts without parameters, and the scalars; `None` in older files, which do not store them.
    #[serde(default)]
    kinds: Option<ByPath<String>>,
    #[serde(default)]
    scalars: Option<Scalars>,
    steps: i32,
    /// The number of steps before Adam last restarted.
    #[serde(default)]
    begun: i32,
    progress: Progress,
}

/// A fingerprint by which data sets are distinguished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    name: String,
    examples: usize,
    dims: [usize; 3],
    classes: usize,
    inputs: String,
    labels: String,
}

impl Fingerprint {
    pub(crate) fn of<L: Layout>(data: &Dataset<L>) -> Self {
        let mut labels = crc32fast::Hasher::new();
        data.labels().iter().for_each(|label| labels.update(&(*label as u64).to_le_bytes()));
        let mut inputs = crc32fast::Hasher::new();
        data.inputs().iter().for_each(|x| inputs.update(&x.to_le_bytes()));
        let crc = |crc: u32| format!("crc32:{crc:08x}");
        Fingerprint {
            name: data.name().into(),
            examples: data.len(),
            dims: data.dims(),
            classes: data.classes(),
            inputs: crc(inputs.finalize()),
            labels: crc(labels.finalize()),
        }
    }
}

/// Packs a training run into a file, and unpacks it.
pub(crate) struct Codec<'a> {
    pub(crate) trainer: &'a Trainer,
    pub(crate) data: Fingerprint,
    pub(crate) per_epoch: usize,
}

impl Codec<'_> {
    /// The file of a training run at this point.
    pub(crate) fn pack<E: Elem, D: Backend<E>>(
        &self,
        network: &dyn AnyNetwork<E, D>,
        adam: &mut Adam<E, D>,
        progress: &Progress,
    ) -> Result<Container, Error> {
        let mut tensors = parameters(network)?;
        tensors.extend(adam.state(network)?);
        sound::tensors(network, &tensors.iter().map(Named::numbers).collect::<Vec<_>>())
            .map_err(|error| diverged(error.into()))?;
        let [steps, begun] = adam.steps();
        progress.check(self.trainer, self.per_epoch, steps)?;
        let about = About {
            dfdx: DFDX.into(),
            trainer: self.trainer.clone(),
            data: self.data.clone(),
            layers: network.descriptions(),
            kinds: Some(kinds(network)),
            scalars: Some(scalars::to_file(network).map_err(diverged)?),
            steps,
            begun,
            progress: progress.clone(),
        };
        let file = Container::new(entries(&tensors), &about)?;
        // JSON has no infinity: a file that could not be read again must not replace one that can.
        if file.about::<About>().is_ok_and(|read| read.layers == about.layers && read.progress == about.progress) {
            return Ok(file);
        }
        Err(FileError::structure("about", "the history or a layer's settings hold a number that is not finite").into())
    }

    /// Restores a training run from a file. If anything does not fit, nothing is changed.
    pub(crate) fn unpack<E: Elem, D: Backend<E>>(
        &self,
        file: &Container,
        network: &mut dyn AnyNetwork<E, D>,
        adam: &mut Adam<E, D>,
    ) -> Result<Progress, Error> {
        let about: About = file.about()?;
        if about.layers.iter().any(|(_, layer)| layer.is_text()) {
            let problem = "it is a checkpoint of format 1, whose layers this version cannot compare; finish the training run \
                           with the version that began it, or start again without `resume`";
            return Err(FileError::Mismatch(vec![problem.into()]).into());
        }
        let here = Trainer { progress: about.trainer.progress, ..self.trainer.clone() };
        let mut problems = settings("trainer", &about.trainer, &here)?;
        problems.extend(settings("data", &about.data, &self.data)?);
        problems.extend(differences(&network.descriptions(), &about.layers, true));
        problems.extend(other_kinds(&kinds(network), about.kinds.as_ref()));
        let mut wanted = parameters(network)?;
        wanted.extend(adam.state(network)?);
        let mut values = fit(&wanted, &file.tensors, &mut problems);
        let scalars = scalars::fit(&scalars::read(network)?, about.scalars.as_ref(), &mut problems)?;
        all_fit(problems)?;
        sound::tensors(network, &by_name(&values))?;
        about.progress.check(self.trainer, self.per_epoch, about.steps)?;
        if !(0..=about.steps).contains(&about.begun) {
            let problem = format!("Adam restarted after {} steps of {}", about.begun, about.steps);
            return Err(FileError::structure("begun", problem).into());
        }
        tensors::write(network, |name| values.remove(name))?;
        scalars::write(network, &scalars)?;
        adam.restore(network, [about.steps, about.begun], &mut values)?;
        Ok(about.progress)
    }
}

/// Writes a packed training run.
pub(crate) fn write(path: &Path, packed: &Container) -> Result<(), FileError> {
    packed.write(path, KIND, VERSION)
}

/// Reads a packed training run from memory.
pub(crate) fn parse(bytes: &[u8]) -> Result<Container, FileError> {
    Container::parse(KIND, VERSION, bytes)
}

/// The error of a training run whose numbers cannot be saved: it has diverged.
fn diverged(error: Error) -> Error {
    let Error::File(FileError::NotFinite { tensor, value, .. } | FileError::Range { tensor, value, .. }) = &error
    else {
        return error;
    };
    let moment = tensor_of_moment(tensor);
    let (path, name) = split_name(moment.unwrap_or(tensor));
    let what = if moment.is_some() { format!("Adam's moment of {name}") } else { name.into() };
    Error::not_finite(what, *value, place(path))
}

/// The fields that differ, in words.
fn settings<T: Serialize>(of: &str, file: &T, here: &T) -> Result<Vec<String>, FileError> {
    let fields = |value: &T| {
        let json = serde_json::to_value(value).map_err(|e| FileError::structure(of, e))?;
        Ok(json.as_object().cloned().unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>())
    };
    let (file, here) = (fields(file)?, fields(here)?);
    let differing = here.into_iter().filter(|(name, value)| file.get(name) != Some(value));
    let words = |(name, value): (String, serde_json::Value)| {
        let saved = file.get(&name).unwrap_or(&serde_json::Value::Null);
        format!("{of}: `{name}` is {saved} in the file, {value} here")
    };
    Ok(differing.map(words).collect())
}
