//! The part of Python's pickle format that a state dict of PyTorch is written in.
//!
//! A pickle is a program for a small stack machine that can call any function of Python. This machine calls none: it
//! knows the handful of names that tensors are rebuilt with, and every other name is an error.
//!
//! Values are small and copied; containers lie in one list and refer to each other by number. So nothing here recurses,
//! however deep a pickle nests, and a pickle that names the same tuple a billion times over holds it once. The memory is
//! bounded by the number of steps, since no step copies a container, and the steps by [`MAX_STEPS`].
//!
//! Source: Python's pickletools, and torch/_weights_only_unpickler.py, which is restricted in the same way.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::stored::{Dtype, MAX_DIMENSIONS, MAX_TENSORS};

/// The longest pickle that is read; the tensors themselves are outside of it.
const MAX_BYTES: usize = 64 << 20;

/// The most instructions: about thirty make a tensor.
const MAX_STEPS: usize = 1 << 20;

/// The longest name of a tensor or of a storage.
const MAX_NAME_BYTES: usize = 512;

/// A tensor that a pickle describes. Nothing is known yet of the storage it refers to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PickledTensor {
    /// The name of the storage's entry in the archive.
    pub storage: String,
    /// What the pickle says of the storage's size, in bytes.
    pub storage_bytes: u64,
    pub dtype: Dtype,
    /// Of the first element, in elements.
    pub offset: u64,
    pub shape: Vec<usize>,
    /// In elements; as many as there are dimensions.
    pub strides: Vec<usize>,
}

/// The tensors of the state dict that `pickle` holds, by name. Of equal names the last counts; what is no tensor is left
/// out.
///
/// # Errors
///
/// What is wrong, in words: a damaged pickle, one that is too large, and any global that a state dict does not need.
pub(super) fn read_state_dict(pickle: &[u8]) -> Result<BTreeMap<String, PickledTensor>, String> {
    if pickle.len() > MAX_BYTES {
        let (bytes, most) = (pickle.len(), MAX_BYTES);
        return Err(format!("the pickle has {bytes} bytes; {most} at most are read"));
    }
    let mut machine = Machine { pickle, ..Machine::default() };
    let top = machine.run()?;
    machine.state_dict(top)
}

/// A value on the stack. Containers, storages and tensors are numbers of those that the machine keeps.
#[derive(Clone, Copy, Debug)]
enum Value {
    None,
    Int(i64),
    /// A string: where in the pickle it stands.
    Text(u32, u32),
    /// A tuple or a list.
    Sequence(u32),
    Dict(u32),
    Global(Global),
    Storage(u32),
    Tensor(u32),
    /// A truth value, a number or bytes that no tensor is made of.
    Other,
}

/// A name of Python that a state dict needs.
#[derive(Clone, Copy, Debug)]
enum Global {
    OrderedDict,
    Size,
    /// `_rebuild_tensor_v2`, and `_rebuild_tensor_v3`, which also names the dtype.
    RebuildTensor,
    RebuildTensorAs,
    RebuildParameter,
    /// The class of a storage.
    Storage(Dtype),
    Dtype(Dtype),
}

struct Storage {
    key: String,
    dtype: Dtype,
    bytes: u64,
}

#[derive(Default)]
struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Where the stack stood at each mark that is still open.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    sequences: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Storage>,
    tensors: Vec<PickledTensor>,
}

type Step<T> = Result<T, String>;

impl Machine<'_> {
    /// Runs the program; its result.
    fn run(&mut self) -> Step<Value> {
        for _ in 0..MAX_STEPS {
            let [instruction] = self.take::<1>()?;
            match instruction {
                // PROTO, FRAME
                0x80 => drop(self.take::<1>()?),
                0x95 => drop(self.take::<8>()?),
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_to_mark()?),
                b'2' => {
                    let value = self.last()?;
                    self.stack.push(value);
                }
                b'N' => self.stack.push(Value::None),
                // NEWTRUE, NEWFALSE
                0x88 | 0x89 => self.stack.push(Value::Other),
                b'J' => {
                    let number = i32::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(number.into()));
                }
                b'K' => {
                    let [number] = self.take::<1>()?;
                    self.stack.push(Value::Int(number.into()));
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.take()?);
                    self.stack.push(Value::Int(number.into()));
                }
                0x8a => self.long()?,
                b'G' => {
                    self.take::<8>()?;
                    self.stack.push(Value::Other);
                }
                // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, and Python 2's BINSTRING and SHORT_BINSTRING
                b'X' | b'T' => self.text::<4>(true)?,
                0x8c | b'U' => self.text::<1>(true)?,
                0x8d => self.text::<8>(true)?,
                // BINBYTES, SHORT_BINBYTES, BINBYTES8
                b'B' => self.text::<4>(false)?,
                b'C' => self.text::<1>(false)?,
                0x8e => self.text::<8>(false)?,
                b')' => self.sequence(Vec::new())?,
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b't' => {
                    let values = self.pop_to_mark()?;
                    self.sequence(values)?;
                }
                b']' => self.sequence(Vec::new())?,
                b'}' => self.dict(Vec::new())?,
                b'a' => {
                    let value = self.pop()?;
                    self.last_sequence()?.push(value);
                }
                b'e' => {
                    let values = self.pop_to_mark()?;
                    self.last_sequence()?.extend(values);
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.last_dict()?.push((key, value));
                }
                b'u' => {
                    let values = self.pop_to_mark()?;
                    let (pairs, rest) = values.as_chunks::<2>();
                    if !rest.is_empty() {
                        return Err("the pickle has a key without a value".into());
                    }
                    self.last_dict()?.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                }
                // BINPUT, LONG_BINPUT, MEMOIZE; BINGET, LONG_BINGET
                b'q' => {
                    let [index] = self.take::<1>()?;
                    self.remember(index.into())?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.take()?);
                    self.remember(index)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let [index] = self.take::<1>()?;
                    self.recall(index.into())?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.take()?);
                    self.recall(index)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                // STACK_GLOBAL
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name, end), Value::Text(module, module_end)) => {
                        self.global(module as usize..module_end as usize, name as usize..end as usize)?;
                    }
                    _ => return Err("the pickle names a global by something else than strings".into()),
                },
                b'Q' => self.persistent_id()?,
                // REDUCE, NEWOBJ
                b'R' | 0x81 => self.call()?,
                b'b' => self.build()?,
                other => {
                    return Err(format!(
                        "the pickle has the instruction {other:#04x}, which no state dict needs"
                    ))
                }
            }
        }
        Err(format!("the pickle has more than {MAX_STEPS} instructions"))
    }

    fn take<const N: usize>(&mut self) -> Step<[u8; N]> {
        let bytes = self.pickle[self.at..].first_chunk::<N>().ok_or("the pickle ends too early")?;
        self.at += N;
        Ok(*bytes)
    }

    /// The range of the next `length` bytes.
    fn skip(&mut self, length: u64) -> Step<Range<usize>> {
        let length = usize::try_from(length).ok().filter(|&length| length <= self.pickle.len() - self.at);
        let start = self.at;
        self.at += length.ok_or("the pickle ends too early")?;
        Ok(start..self.at)
    }

    /// The range of the bytes up to the end of the line.
    fn line(&mut self) -> Step<Range<usize>> {
        let rest = &self.pickle[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("the pickle ends too early")?;
        let start = self.at;
        self.at += length + 1;
        Ok(start..start + length)
    }

    fn text<const N: usize>(&mut self, is_text: bool) -> Step<()> {
        let length: [u8; N] = self.take()?;
        let length = length.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
        let range = self.skip(length)?;
        // The pickle is at most `MAX_BYTES` long.
        let text = Value::Text(range.start as u32, range.end as u32);
        self.stack.push(if is_text { text } else { Value::Other });
        Ok(())
    }

    /// LONG1: a number of any length. Eight bytes hold every size of a tensor.
    fn long(&mut self) -> Step<()> {
        let [length] = self.take::<1>()?;
        let range = self.skip(length.into())?;
        let bytes = &self.pickle[range];
        let mut number = [if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 }; 8];
        self.stack.push(match number.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(number))
            }
            None => Value::Other,
        });
        Ok(())
    }

    fn pop(&mut self) -> Step<Value> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > bottom {
            true => Ok(self.stack.pop().expect("longer than its bottom")),
            false => Err("the pickle takes a value from an empty stack".into()),
        }
    }

    fn last(&self) -> Step<Value> {
        self.stack.last().copied().ok_or_else(|| "the pickle takes a value from an empty stack".into())
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self.marks.pop().ok_or("the pickle goes back to a mark that it never set")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Step<()> {
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            values.push(self.pop()?);
        }
        values.reverse();
        self.sequence(values)
    }

    fn sequence(&mut self, values: Vec<Value>) -> Step<()> {
        self.stack.push(Value::Sequence(self.sequences.len() as u32));
        self.sequences.push(values);
        Ok(())
    }

    fn dict(&mut self, pairs: Vec<(Value, Value)>) -> Step<()> {
        self.stack.push(Value::Dict(self.dicts.len() as u32));
        self.dicts.push(pairs);
        Ok(())
    }

    fn last_sequence(&mut self) -> Step<&mut Vec<Value>> {
        match self.last()? {
            Value::Sequence(index) => Ok(&mut self.sequences[index as usize]),
            _ => Err("the pickle appends to something else than a list".into()),
        }
    }

    fn last_dict(&mut self) -> Step<&mut Vec<(Value, Value)>> {
        match self.last()? {
            Value::Dict(index) => Ok(&mut self.dicts[index as usize]),
            _ => Err("the pickle sets an item of something else than a dict".into()),
        }
    }

    fn remember(&mut self, index: u32) -> Step<()> {
        let value = self.last()?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Step<()> {
        let value = self.memo.get(&index).copied();
        self.stack.push(value.ok_or("the pickle recalls a value that it never remembered")?);
        Ok(())
    }

    fn global(&mut self, module: Range<usize>, name: Range<usize>) -> Step<()> {
        let text = |range: Range<usize>| String::from_utf8_lossy(&self.pickle[range]).into_owned();
        let (module, name) = (text(module), text(name));
        let global = match (module.as_str(), name.as_str()) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch", "Size") => Some(Global::Size),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Global::RebuildTensorAs),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Some(Global::RebuildParameter)
            }
            ("torch.storage", "UntypedStorage") => Some(Global::Storage(Dtype::Other("uint8", 8))),
            ("torch", storage) if storage.ends_with("Storage") => storage_dtype(storage).map(Global::Storage),
            ("torch", dtype) => torch_dtype(dtype).map(Global::Dtype),
            _ => None,
        };
        let global = global.ok_or_else(|| {
            let (module, name) = (module.escape_debug(), name.escape_debug());
            format!("the pickle calls for `{module}.{name}`, which no state dict needs")
        })?;
        self.stack.push(Value::Global(global));
        Ok(())
    }

    /// `("storage", class, key, device, number of elements)`.
    fn persistent_id(&mut self) -> Step<()> {
        let unlike = || "the pickle names a storage in a way that PyTorch does not".to_string();
        let Value::Sequence(index) = self.pop()? else { return Err(unlike()) };
        let [kind, Value::Global(Global::Storage(dtype)), key, _, Value::Int(elements)] =
            self.sequences[index as usize].as_slice()
        else {
            return Err(unlike());
        };
        let (dtype, elements) = (*dtype, *elements);
        let key = match (self.name(*kind)?, self.name(*key)?) {
            (Some("storage"), Some(key)) => key.to_string(),
            _ => return Err(unlike()),
        };
        let bytes = u64::try_from(elements).ok().and_then(|elements| elements.checked_mul(dtype.bits() / 8));
        let bytes = bytes.ok_or_else(|| format!("the storage `{}` has no size", key.escape_debug()))?;
        if self.storages.len() == MAX_TENSORS {
            return Err(format!("the pickle has more than {MAX_TENSORS} storages"));
        }
        self.stack.push(Value::Storage(self.storages.len() as u32));
        self.storages.push(Storage { key, dtype, bytes });
        Ok(())
    }

    /// A string as a name; `None` for another value.
    fn name(&self, value: Value) -> Step<Option<&str>> {
        let Value::Text(start, end) = value else { return Ok(None) };
        let bytes = &self.pickle[start as usize..end as usize];
        match std::str::from_utf8(bytes) {
            Ok(name) if name.len() <= MAX_NAME_BYTES => Ok(Some(name)),
            Ok(name) => Err(format!("the pickle has a name of {} bytes", name.len())),
            Err(_) => Err("the pickle has a name that is not UTF-8".into()),
        }
    }

    /// Applies one of the known globals to the tuple above it.
    fn call(&mut self) -> Step<()> {
        let (Value::Sequence(index), Value::Global(called)) = (self.pop()?, self.pop()?) else {
            return Err("the pickle calls something else than a function".into());
        };
        let arguments = self.sequences[index as usize].as_slice();
        match (called, arguments) {
            (Global::OrderedDict, []) => return self.dict(Vec::new()),
            (Global::Size, [value @ Value::Sequence(_)])
            | (Global::RebuildParameter, [value @ Value::Tensor(_), ..]) => {
                let value = *value;
                self.stack.push(value);
                return Ok(());
            }
            (Global::RebuildTensor | Global::RebuildTensorAs, [Value::Storage(storage), view @ ..]) => {
                let tensor = self.tensor(&self.storages[*storage as usize], called, view)?;
                if self.tensors.len() == MAX_TENSORS {
                    return Err(format!("the pickle has more than {MAX_TENSORS} tensors"));
                }
                self.stack.push(Value::Tensor(self.tensors.len() as u32));
                self.tensors.push(tensor);
                return Ok(());
            }
            _ => {}
        }
        Err("the pickle calls a function with other arguments than PyTorch does".into())
    }

    /// What `called` makes of a storage.
    ///
    /// * `view`: the other arguments: offset, shape, strides, whether it is trained, hooks, for some the dtype, and
    ///   perhaps metadata.
    fn tensor(&self, storage: &Storage, called: Global, view: &[Value]) -> Step<PickledTensor> {
        let unsound = || "the pickle has a tensor without a sound shape".to_string();
        let [Value::Int(offset), Value::Sequence(shape), Value::Sequence(strides), _, _, rest @ ..] = view
        else {
            return Err(unsound());
        };
        let (dtype, metadata) = match (called, rest) {
            (Global::RebuildTensorAs, [Value::Global(Global::Dtype(dtype)), metadata @ ..]) => {
                (*dtype, metadata)
            }
            (Global::RebuildTensorAs, _) => return Err("the pickle has a tensor without a dtype".into()),
            (_, metadata) => (storage.dtype, metadata),
        };
        // Metadata says whether a tensor is to be conjugated or negated when it is read.
        let is_plain = metadata.iter().all(|value| match value {
            Value::None => true,
            Value::Dict(index) => self.dicts[*index as usize].is_empty(),
            _ => false,
        });
        if !is_plain {
            return Err("the pickle has a tensor that PyTorch would change as it reads it".into());
        }
        let sizes = |index: u32| -> Option<Vec<usize>> {
            let sizes = &self.sequences[index as usize];
            let size = |value: &Value| match value {
                Value::Int(size) => usize::try_from(*size).ok(),
                _ => None,
            };
            if sizes.len() > MAX_DIMENSIONS {
                return None;
            }
            sizes.iter().map(size).collect()
        };
        match (u64::try_from(*offset), sizes(*shape), sizes(*strides)) {
            (Ok(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => Ok(PickledTensor {
                storage: storage.key.clone(),
                storage_bytes: storage.bytes,
                dtype,
                offset,
                shape,
                strides,
            }),
            _ => Err(unsound()),
        }
    }

    /// BUILD gives an object its attributes: those of a state dict and of a parameter change no tensor.
    fn build(&mut self) -> Step<()> {
        self.pop()?;
        match self.last()? {
            Value::Dict(_) | Value::Tensor(_) => Ok(()),
            _ => Err("the pickle builds something else than a state dict".into()),
        }
    }

    fn state_dict(&self, top: Value) -> Step<BTreeMap<String, PickledTensor>> {
        let Value::Dict(index) = top else {
            return Err("the pickle is no state dict: no dict of tensors by name".into());
        };
        let (mut tensors, mut nested) = (BTreeMap::new(), None);
        for (key, value) in &self.dicts[index as usize] {
            let Some(name) = self.name(*key)? else { continue };
            match value {
                Value::Tensor(tensor) => {
                    tensors.insert(name.to_string(), self.tensors[*tensor as usize].clone());
                }
                Value::Dict(_) => nested = nested.or(Some(name)),
                _ => {}
            }
        }
        match nested {
            Some(nested) if tensors.is_empty() => Err(format!(
                "the pickle holds no tensor by name but `{}` and the like, as a training checkpoint does: save the \
                 state dict in it",
                nested.escape_debug()
            )),
            _ => Ok(tensors),
        }
    }
}

/// What a storage class of PyTorch holds.
fn storage_dtype(class: &str) -> Option<Dtype> {
    torch_dtype(match class {
        "DoubleStorage" => "float64",
        "FloatStorage" => "float32",
        "HalfStorage" => "float16",
        "BFloat16Storage" => "bfloat16",
        "LongStorage" => "int64",
        "IntStorage" => "int32",
        "ShortStorage" => "int16",
        "CharStorage" => "int8",
        "ByteStorage" => "uint8",
        "BoolStorage" => "bool",
        "ComplexDoubleStorage" => "complex128",
        "ComplexFloatStorage" => "complex64",
        "QUInt8Storage" => "quint8",
        "QInt8Storage" => "qint8",
        "QInt32Storage" => "qint32",
        _ => return None,
    })
}

/// A dtype of PyTorch by its name.
fn torch_dtype(name: &str) -> Option<Dtype> {
    const OTHER: [Dtype; 19] = [
        Dtype::Other("int64", 64),
        Dtype::Other("int32", 32),
        Dtype::Other("int16", 16),
        Dtype::Other("int8", 8),
        Dtype::Other("uint64", 64),
        Dtype::Other("uint32", 32),
        Dtype::Other("uint16", 16),
        Dtype::Other("uint8", 8),
        Dtype::Other("bool", 8),
        Dtype::Other("complex128", 128),
        Dtype::Other("complex64", 64),
        Dtype::Other("quint8", 8),
        Dtype::Other("qint8", 8),
        Dtype::Other("qint32", 32),
        Dtype::Other("float8_e4m3fn", 8),
        Dtype::Other("float8_e5m2", 8),
        Dtype::Other("float8_e4m3fnuz", 8),
        Dtype::Other("float8_e5m2fnuz", 8),
        Dtype::Other("float8_e8m0fnu", 8),
    ];
    match name {
        "float64" => Some(Dtype::F64),
        "float32" => Some(Dtype::F32),
        "float16" => Some(Dtype::F16),
        "bfloat16" => Some(Dtype::Bf16),
        other => OTHER.into_iter().find(|dtype| dtype.name() == other),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A pickle of a state dict with these tensors: name, storage class, key, elements, offset, shape, strides.
    #[allow(clippy::type_complexity)]
    pub fn pickled(tensors: &[(&str, &str, &str, i32, i32, &[i32], &[i32])]) -> Vec<u8> {
        let text =
            |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let int = |number: i32| [b"J".as_slice(), &number.to_le_bytes()].concat();
        let tuple = |numbers: &[i32]| {
            [b"(".to_vec(), numbers.iter().flat_map(|number| int(*number)).collect(), b"t".to_vec()].concat()
        };
        let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
        for (name, class, key, elements, offset, shape, strides) in tensors {
            pickle.extend(text(name));
            pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            pickle.extend(text("storage"));
            pickle.extend(format!("ctorch\n{class}\n").as_bytes());
            pickle.extend(text(key));
            pickle.extend(text("cpu"));
            pickle.extend(int(*elements));
            pickle.extend(b"tQ");
            pickle.extend(int(*offset));
            pickle.extend(tuple(shape));
            pickle.extend(tuple(strides));
            pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
        pickle.extend(b"u}");
        // The attribute `_metadata` of a state dict.
        pickle.extend(text("_metadata"));
        pickle.extend(b"}sb.");
        pickle
    }

    #[test]
    fn a_state_dict_gives_its_tensors() {
        let pickle = pickled(&[
            ("a", "FloatStorage", "0", 6, 0, &[2, 3], &[3, 1]),
            ("b", "HalfStorage", "1", 8, 2, &[3, 2], &[1, 3]),
        ]);
        let tensors = read_state_dict(&pickle).expect("a sound pickle");
        assert_eq!(tensors.len(), 2);
        assert_eq!((tensors["a"].dtype, tensors["a"].storage_bytes), (Dtype::F32, 24));
        let b = &tensors["b"];
        assert_eq!((b.storage.as_str(), b.dtype, b.offset), ("1", Dtype::F16, 2));
        assert_eq!((b.shape.as_slice(), b.strides.as_slice()), ([3, 2].as_slice(), [1, 3].as_slice()));
    }

    #[test]
    fn no_nesting_is_too_deep_and_no_doubling_too_large() {
        // A million tuples in each other.
        let deep = [b"\x80\x02K\x01".as_slice(), &vec![0x85; 1_000_000], b"."].concat();
        assert!(read_state_dict(&deep).expect_err("no dict").contains("no state dict"));
        // Tuples of the one before, twice: 2^200 elements, were they written out.
        let mut laughs = b"\x80\x02K\x01q\x00".to_vec();
        for index in 0..200 {
            laughs.extend([b'h', index, b'h', index, 0x86, b'q', index + 1]);
        }
        laughs.push(b'.');
        assert!(read_state_dict(&laughs).expect_err("no dict").contains("no state dict"));
        // A list that holds itself.
        assert!(read_state_dict(b"]q\x00h\x00a.").expect_err("no dict").contains("no state dict"));
        let long = vec![b'N'; MAX_STEPS + 1];
        assert!(read_state_dict(&long).expect_err("too long").contains("instructions"));
        assert!(read_state_dict(&vec![b'N'; MAX_BYTES + 1]).expect_err("too long").contains("bytes"));
    }

    #[test]
    fn every_other_global_is_an_error_that_names_it() {
        for (pickle, name) in [
            (b"cposix\nsystem\nX\x02\0\0\0id\x85R.".as_slice(), "`posix.system`"),
            (b"\x8c\x02os\x8c\x06system\x93.".as_slice(), "`os.system`"),
            (b"ctorch\nload\n.".as_slice(), "`torch.load`"),
            (b"cnumpy.core.multiarray\n_reconstruct\n.".as_slice(), "_reconstruct`"),
        ] {
            assert!(read_state_dict(pickle).expect_err(name).contains(name));
        }
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let sound = pickled(&[("a", "FloatStorage", "0", 6, 0, &[2, 3], &[3, 1])]);
        for length in 0..sound.len() {
            assert!(read_state_dict(&sound[..length]).is_err(), "{length}");
        }
        for at in 0..sound.len() {
            for value in 0..=255 {
                let mut pickle = sound.clone();
                pickle[at] = value;
                let _ = read_state_dict(&pickle);
            }
        }
        for (pickle, says) in [
            (b"t.".as_slice(), "a mark"),
            (b"h\x07.".as_slice(), "never remembered"),
            (b"(0.".as_slice(), "empty stack"),
            (b"}(K\x01u.".as_slice(), "a key without a value"),
            (b"K\x01K\x02a.".as_slice(), "appends"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.".as_slice(), "too early"),
            (b"P0\n.".as_slice(), "instruction 0x50"),
        ] {
            let error = read_state_dict(pickle).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_training_checkpoint_says_where_its_tensors_are() {
        let error = read_state_dict(b"}X\x0a\0\0\0state_dict}s.").expect_err("nested");
        assert!(error.contains("`state_dict`"), "{error}");
    }
}
