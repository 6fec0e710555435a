//! The checkpoint codec: a training run as a file, and back.

use std::collections::BTreeMap;
use std::path::Path;

use dfdx::nn::tensor_collection::TensorCollection;
use serde::{Deserialize, Serialize};
use sparsevd_infer::{Container, FileError};

use super::adam::Adam;
use super::checkpoint::{KIND, VERSION};
use super::history::{Epoch, History, in_range};
use super::trainer::Trainer;
use crate::compute::{Backend, Elem};
use crate::data::{Dataset, Layout};
use crate::error::Error;
use crate::io::scalars::{self, Scalars};
use crate::io::sound;
use crate::model::describe::{DFDX, Description, differences, other_kinds};
use crate::model::tensors::{self, Named, all_fit, by_name, entries, fit, parameters};
use crate::model::{ByPath, Network, kinds};

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The epoch under way.
    pub(crate) epoch: usize,
    /// The steps done in it.
    pub(crate) step: usize,
    /// Their summed negative log-likelihoods.
    pub(crate) nll: f64,
    /// The KL at the last of them.
    pub(crate) kl: f64,
    /// How many of their data were misclassified.
    pub(crate) wrong: usize,
    /// The time that they took.
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

    /// Whether a training of this many epochs and steps can be there.
    fn check(&self, trainer: &Trainer, per_epoch: usize, steps: i32) -> Result<(), FileError> {
        let Progress { epoch, step, nll, kl, wrong, seconds, history } = self;
        let consistent = history.epochs.len() == *epoch
            && (*epoch < trainer.epochs && *step < per_epoch || *epoch == trainer.epochs && *step == 0)
            && epoch.checked_mul(per_epoch).and_then(|n| n.checked_add(*step)) == usize::try_from(steps).ok();
        if !consistent {
            return Err(FileError::structure(
                "progress",
                format!(
                    "epoch {epoch}, step {step}, after {steps} steps and {} epochs of history; this training has {} epochs of \
                     {per_epoch} steps",
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

/// What the file says besides its tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    dfdx: String,
    trainer: Trainer,
    data: Fingerprint,
    layers: ByPath<Description>,
    /// The parts without parameters, and the numbers that are not tensors; none in files from before they were kept.
    #[serde(default)]
    kinds: Option<ByPath<String>>,
    #[serde(default)]
    scalars: Option<Scalars>,
    steps: i32,
    /// How many of the steps there were when Adam last began anew.
    #[serde(default)]
    begun: i32,
    progress: Progress,
}

/// Tells data sets apart.
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

/// Puts a training into a file, and takes it out.
pub(crate) struct Codec<'a> {
    pub(crate) trainer: &'a Trainer,
    pub(crate) data: Fingerprint,
    pub(crate) per_epoch: usize,
}

impl Codec<'_> {
    /// Everything that goes on from here.
    pub(crate) fn pack<N, E: Elem, D: Backend<E>>(
        &self,
        network: &N,
        adam: &mut Adam<E, D>,
        progress: &Progress,
    ) -> Result<Container, Error>
    where
        N: Network<E, D> + TensorCollection<E, D>,
    {
        let mut tensors = parameters(network)?;
        tensors.extend(adam.state(network)?);
        sound::tensors(network, &tensors.iter().map(Named::numbers).collect::<Vec<_>>())?;
        let [steps, begun] = adam.steps();
        progress.check(self.trainer, self.per_epoch, steps)?;
        let about = About {
            dfdx: DFDX.into(),
            trainer: self.trainer.clone(),
            data: self.data.clone(),
            layers: network.descriptions(),
            kinds: Some(kinds(network)),
            scalars: Some(scalars::to_file(network)?),
            steps,
            begun,
            progress: progress.clone(),
        };
        let file = Container::new(entries(&tensors), &about)?;
        // JSON has no infinity: what would not be read again is not written over what can be.
        if file.about::<About>().is_ok_and(|read| read.layers == about.layers && read.progress == about.progress) {
            return Ok(file);
        }
        Err(FileError::structure("about", "the history or a layer's settings hold a number that is not finite").into())
    }

    /// The reverse; nothing is changed where something does not fit.
    pub(crate) fn unpack<N, E: Elem, D: Backend<E>>(
        &self,
        file: &Container,
        network: &mut N,
        adam: &mut Adam<E, D>,
    ) -> Result<Progress, Error>
    where
        N: Network<E, D> + TensorCollection<E, D>,
    {
        let about: About = file.about()?;
        if about.layers.iter().any(|(_, layer)| layer.is_text()) {
            let problem = "it is a checkpoint of format 1, whose layers this version cannot compare; finish the training run \
                           with the version that began it, or begin anew without `resume`";
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
            let problem = format!("Adam has begun anew after {} steps of {}", about.begun, about.steps);
            return Err(FileError::structure("begun", problem).into());
        }
        tensors::write(network, |name| values.remove(name))?;
        scalars::write(network, &scalars)?;
        adam.restore(network, [about.steps, about.begun], &mut values)?;
        Ok(about.progress)
    }
}

/// Writes a packed training.
pub(crate) fn write(path: &Path, packed: &Container) -> Result<(), FileError> {
    packed.write(path, KIND, VERSION)
}

/// Reads one from memory.
pub(crate) fn parse(bytes: &[u8]) -> Result<Container, FileError> {
    Container::parse(KIND, VERSION, bytes)
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
