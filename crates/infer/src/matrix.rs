//! The weights of a layer as they are stored: compressed rows, or dense.

/// A matrix of weights: a row per output, a column per number that a layer may read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Matrix {
    /// Compressed sparse rows.
    Csr(Csr),
    /// A dense matrix of the columns that any row reads.
    Dense(Dense),
}

/// Compressed sparse rows: row `i` has `values[starts[i]..starts[i + 1]]` in the columns at the same places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Csr {
    starts: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

/// `weights[i * columns.len() + j]` is the weight of row `i` in column `columns[j]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    columns: Vec<u32>,
    weights: Vec<f32>,
}

impl Csr {
    /// A matrix whose structure has been checked.
    ///
    /// # Errors
    /// A message, unless the starts begin with 0, never decrease, and end with the number of values; the columns of
    /// each row increase; and all values are finite.
    pub(crate) fn new(starts: Vec<u32>, columns: Vec<u32>, values: Vec<f32>) -> Result<Self, String> {
        let (Some(0), Some(last)) = (starts.first(), starts.last()) else {
            return Err("the row starts do not begin with 0".into());
        };
        if columns.len() != values.len() || *last as usize != values.len() {
            let (c, v) = (columns.len(), values.len());
            return Err(format!("the row starts end with {last}, but there are {c} columns and {v} values"));
        }
        if let Some(i) = (1..starts.len()).find(|i| starts[*i] < starts[i - 1]) {
            return Err(format!("row {} starts at {} and ends at {}", i - 1, starts[i - 1], starts[i]));
        }
        let csr = Csr { starts, columns, values };
        for i in 0..csr.rows() {
            if let Some(pair) = csr.row(i).0.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(format!("row {i}: column {} follows column {}", pair[1], pair[0]));
            }
        }
        finite(&csr.values)?;
        Ok(csr)
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The columns of a row and its values.
    pub(crate) fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let at = self.starts[i] as usize..self.starts[i + 1] as usize;
        (&self.columns[at.clone()], &self.values[at])
    }

    /// The start of each row, and the end of the last one.
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The columns of all rows.
    pub(crate) fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// The values of all rows.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The columns that are read, in increasing order.
    pub(crate) fn read(&self) -> Vec<u32> {
        let mut columns = self.columns.clone();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The same matrix, dense in the columns that are read.
    pub(crate) fn dense(&self) -> Dense {
        let columns = self.read();
        let mut weights = vec![0.0; self.rows() * columns.len()];
        for (i, row) in weights.chunks_mut(columns.len().max(1)).enumerate() {
            let (at, values) = self.row(i);
            for (column, value) in at.iter().zip(values) {
                row[columns.partition_point(|c| c < column)] = *value;
            }
        }
        Dense { columns, weights }
    }
}

impl Dense {
    /// The columns that are read.
    pub(crate) fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// The weights, row by row.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The same matrix in compressed sparse rows; it has `rows` rows.
    pub(crate) fn csr(&self, rows: usize) -> Csr {
        let mut csr = Csr { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        for i in 0..rows {
            let row = &self.weights[i * self.columns.len()..(i + 1) * self.columns.len()];
            let kept = self.columns.iter().zip(row).filter(|(_, w)| **w != 0.0);
            for (column, value) in kept {
                csr.columns.push(*column);
                csr.values.push(*value);
            }
            csr.starts.push(csr.values.len() as u32);
        }
        csr
    }
}

impl Matrix {
    /// `Ok` if it has `rows` rows, and only columns below `cols`.
    pub(crate) fn fits(&self, rows: usize, cols: usize) -> Result<(), String> {
        let (found, columns) = match self {
            Matrix::Csr(csr) => (csr.rows(), &csr.columns),
            Matrix::Dense(dense) => {
                (dense.weights.len().checked_div(dense.columns.len()).unwrap_or(rows), &dense.columns)
            }
        };
        if found != rows {
            return Err(format!("{found} rows for {rows} outputs"));
        }
        match columns.iter().max() {
            Some(last) if *last as usize >= cols => Err(format!("column {last} of {cols}")),
            _ => Ok(()),
        }
    }

    /// The columns that are read, in increasing order.
    pub(crate) fn read(&self) -> Vec<u32> {
        match self {
            Matrix::Csr(csr) => csr.read(),
            Matrix::Dense(dense) => dense.columns.clone(),
        }
    }

    /// Number of weights that are not zero.
    pub(crate) fn kept(&self) -> usize {
        match self {
            Matrix::Csr(csr) => csr.values.iter().filter(|w| **w != 0.0).count(),
            Matrix::Dense(dense) => dense.weights.iter().filter(|w| **w != 0.0).count(),
        }
    }
}

fn finite(values: &[f32]) -> Result<(), String> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(i) => Err(format!("weight {i} is {}; every number must be finite", values[i])),
        None => Ok(()),
    }
}
