//! Lists of partitions, each with an offset, a leader epoch, commit metadata and an error.

use std::ffi::{CStr, CString, c_int};
use std::ptr::{self, NonNull};
use std::slice;

use rdkafka_sys as sys;

use super::code::{self, Code, Failure};

/// A list of partitions; destroyed when dropped.
#[derive(Debug)]
pub struct PartitionList(NonNull<sys::rd_kafka_topic_partition_list_t>);

// SAFETY: a list is plain memory that only its owner touches.
unsafe impl Send for PartitionList {}

/// One element of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset; negative ones have meanings of their own.
    pub offset: i64,
    /// The leader epoch; −1 for none.
    pub leader_epoch: i32,
    /// The commit metadata.
    pub metadata: Vec<u8>,
    /// The outcome.
    pub code: Code,
}

impl Element {
    /// A copy of an element of the C library's.
    ///
    /// # Safety
    /// `element` must be alive.
    pub(super) unsafe fn copy_of(element: *const sys::rd_kafka_topic_partition_t) -> Self {
        // SAFETY: alive by the caller's promise, its topic NUL-terminated, and its metadata null or as long as stated.
        // No reference to the whole is made: its code may be unknown to the binding.
        unsafe {
            let metadata = (*element).metadata.cast::<u8>();
            Self {
                topic: CStr::from_ptr((*element).topic).to_string_lossy().into_owned(),
                partition: (*element).partition,
                offset: (*element).offset,
                leader_epoch: sys::rd_kafka_topic_partition_get_leader_epoch(element),
                metadata: match metadata.is_null() {
                    true => Vec::new(),
                    false => slice::from_raw_parts(metadata, (*element).metadata_size).to_vec(),
                },
                code: code::read(&raw const (*element).err),
            }
        }
    }
}

impl PartitionList {
    /// An empty list with room for `count` elements.
    pub fn with_capacity(count: usize) -> Self {
        let count = c_int::try_from(count).unwrap_or(0);
        // SAFETY: no precondition; the C library aborts the process if it has no memory.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(count) };
        Self(NonNull::new(list).expect("the C library never returns null here"))
    }

    /// A copy of a list, `None` of a null one.
    ///
    /// # Safety
    /// `list` must be null or point to a live list.
    pub(super) unsafe fn copy_of(list: *const sys::rd_kafka_topic_partition_list_t) -> Option<Self> {
        if list.is_null() {
            return None;
        }
        // SAFETY: live by the caller's promise; the copy is ours.
        NonNull::new(unsafe { sys::rd_kafka_topic_partition_list_copy(list) }).map(Self)
    }

    pub(super) fn handle(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    /// Adds a partition without an offset.
    pub fn add(&mut self, topic: &str, partition: i32) {
        self.push(topic, partition);
    }

    /// Adds a partition with an offset and the leader epoch of the record before it (−1 for none).
    pub fn add_position(&mut self, topic: &str, partition: i32, offset: i64, leader_epoch: i32) {
        let element = self.push(topic, partition);
        // SAFETY: `push` returned the list's newest element, alive until the list changes.
        unsafe {
            (*element).offset = offset;
            sys::rd_kafka_topic_partition_set_leader_epoch(element, leader_epoch);
        }
    }

    /// Adds a partition with all that is stored for a group.
    pub fn add_commit(&mut self, topic: &str, partition: i32, offset: i64, leader_epoch: i32, metadata: &str) {
        self.add_position(topic, partition, offset, leader_epoch);
        if metadata.is_empty() {
            return;
        }
        // SAFETY: there is a last element, just added, without metadata. The memory comes from the C library's allocator,
        // which the list frees it with, and holds exactly the bytes copied into it.
        unsafe {
            let list = self.0.as_ptr();
            let element = (*list).elems.add((*list).cnt as usize - 1);
            let copy = sys::rd_kafka_mem_malloc(ptr::null_mut(), metadata.len());
            assert!(!copy.is_null(), "no memory for {} bytes", metadata.len());
            ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast(), metadata.len());
            (*element).metadata = copy;
            (*element).metadata_size = metadata.len();
        }
    }

    fn push(&mut self, topic: &str, partition: i32) -> *mut sys::rd_kafka_topic_partition_t {
        let topic = CString::new(topic).expect("a topic's name contains no NUL character");
        // SAFETY: the list is alive and the name is copied.
        unsafe { sys::rd_kafka_topic_partition_list_add(self.handle(), topic.as_ptr(), partition) }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        // SAFETY: the list is alive.
        usize::try_from(unsafe { (*self.handle()).cnt }).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, copied.
    pub fn elements(&self) -> impl Iterator<Item = Element> + '_ {
        (0..self.len()).map(|index| {
            // SAFETY: the index is below the count, so the element is alive.
            unsafe { Element::copy_of((*self.handle()).elems.add(index)) }
        })
    }

    /// The first element's failure that there is.
    pub fn first_failure(&self) -> Result<(), Failure> {
        self.elements().try_for_each(|element| Failure::check(element.code))
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.handle()) };
    }
}
