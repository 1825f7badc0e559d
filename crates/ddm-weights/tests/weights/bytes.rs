//! Files made by hand, whole and damaged.

/// A safetensors file of a header and data.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// A safetensors file of one tensor of f32.
pub(crate) fn floats(name: &str, values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (length, end) = (values.len(), data.len());
    let entry =
        format!(r#"{{"{name}":{{"dtype":"F32","shape":[{length}],"data_offsets":[0,{end}]}}}}"#);
    safetensors(&entry, &data)
}

/// A tensor as GGUF lists it: name, axes from the innermost on, type, and where its data are.
pub(crate) type Listed<'a> = (&'a str, &'a [u64], u32, u64);

/// A GGUF file of version 3 without metadata.
pub(crate) fn gguf(tensors: &[Listed<'_>], data: &[u8]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    for (name, axes, kind, offset) in tensors {
        file.extend((name.len() as u64).to_le_bytes());
        file.extend(name.as_bytes());
        file.extend((axes.len() as u32).to_le_bytes());
        axes.iter().for_each(|axis| file.extend(axis.to_le_bytes()));
        file.extend(kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}

/// A zip archive of stored files, as far as a reader of PyTorch's needs it.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut list) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let header = file.len() as u32;
        let (length, name_length) = (data.len() as u32, name.len() as u16);
        file.extend(b"PK\x03\x04");
        file.extend([0; 22]);
        file.extend(name_length.to_le_bytes());
        file.extend([0; 2]);
        file.extend(name.as_bytes());
        file.extend(*data);
        list.extend(b"PK\x01\x02");
        list.extend([0; 16]);
        list.extend(length.to_le_bytes());
        list.extend(length.to_le_bytes());
        list.extend(name_length.to_le_bytes());
        list.extend([0; 12]);
        list.extend(header.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (at, count) = (file.len() as u32, files.len() as u16);
    file.extend(&list);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend((list.len() as u32).to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// An archive of PyTorch with this pickle, and four numbers in f32 as its storage "0".
pub(crate) fn torch(pickle: &[u8]) -> Vec<u8> {
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    archive(&[("a/data.pkl", pickle), ("a/data/0", &data)])
}

/// The pickle of `{"w": tensor}`, whose storage says to have `elements`.
pub(crate) fn pickle(elements: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    pickle.extend(b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK");
    pickle.push(elements);
    pickle.extend(b"tQK");
    pickle.push(offset);
    for numbers in [shape, strides] {
        pickle.push(b'(');
        numbers.iter().for_each(|number| pickle.extend([b'K', *number]));
        pickle.push(b't');
    }
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    pickle
}
