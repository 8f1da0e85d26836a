//! The operations that requests perform.

use crate::model::setting::Setting;

/// Generates [`Operation`] and its tables from one row per operation, in the order in which they are printed:
///
/// ```text
/// Name: access that the caller needs, level that is addressed, [properties];
/// ```
///
/// The operations on settings have no rows here, because three of them follow from each row of [`Setting`].
macro_rules! operations {
    ($($name:ident: $access:ident, $level:ident, [$($property:ident),*];)*) => {
        /// The operations that are translated between dialects, under their names in S3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own")]
        pub enum Operation {
            $($name,)*
            /// Reads a settings document of a bucket or an object.
            Get(Setting),
            /// Replaces a settings document.
            Put(Setting),
            /// Removes a settings document.
            Delete(Setting),
        }

        impl Operation {
            /// Every operation that is not on a setting, in the order in which they are printed.
            pub const PLAIN: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// The name in metrics, logs and messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Get(setting) => setting.operation_names()[0],
                    Self::Put(setting) => setting.operation_names()[1],
                    Self::Delete(setting) => setting.operation_names()[2],
                }
            }

            /// The access that the caller must be granted on the bucket. A copy also requires [`RequiredAccess::Read`]
            /// on the bucket of its source.
            pub fn required_access(self) -> RequiredAccess {
                // A settings document of an object only affects that object, so that `Write` is sufficient for it. One
                // of a bucket affects every object and every caller.
                match self {
                    $(Self::$name => RequiredAccess::$access,)*
                    Self::Get(_) => RequiredAccess::Read,
                    Self::Put(setting) | Self::Delete(setting) if setting.is_on_object() => RequiredAccess::Write,
                    Self::Put(_) | Self::Delete(_) => RequiredAccess::Admin,
                }
            }

            /// Whether the operation addresses an object, not a bucket or the account.
            pub fn is_on_object(self) -> bool {
                match self {
                    $(Self::$name => matches!(OperationLevel::$level, OperationLevel::Object),)*
                    Self::Get(setting) | Self::Put(setting) | Self::Delete(setting) => setting.is_on_object(),
                }
            }

            fn has_property(self, property: OperationProperty) -> bool {
                let properties: &[OperationProperty] = match self {
                    $(Self::$name => &[$(OperationProperty::$property),*],)*
                    Self::Put(_) => &[OperationProperty::Document],
                    Self::Get(_) | Self::Delete(_) => &[],
                };
                properties.contains(&property)
            }
        }
    };
}

/// The level that an operation addresses.
enum OperationLevel {
    Account,
    Bucket,
    Object,
}

/// Properties that only some operations have. The method of [`Operation`] for each property explains it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OperationProperty {
    ObjectRead,
    Upload,
    Copy,
    Delete,
    CreatesObject,
    MultipartStep,
    Document,
    Listing,
    KeysInResponse,
}

operations! {
    PutObject: Write, Object, [Upload, CreatesObject];
    GetObject: Read, Object, [ObjectRead];
    HeadObject: Read, Object, [ObjectRead];
    DeleteObject: Write, Object, [Delete];
    DeleteObjects: Write, Bucket, [Delete, Document, KeysInResponse];
    CopyObject: Write, Object, [Copy, CreatesObject];
    AppendObject: Write, Object, [Upload, CreatesObject];
    RestoreObject: Write, Object, [Document];
    GetObjectAttributes: Read, Object, [];
    CreateMultipartUpload: Write, Object, [CreatesObject, KeysInResponse];
    UploadPart: Write, Object, [Upload, MultipartStep];
    UploadPartCopy: Write, Object, [Copy, MultipartStep];
    CompleteMultipartUpload: Write, Object, [MultipartStep, KeysInResponse];
    AbortMultipartUpload: Write, Object, [MultipartStep];
    ListParts: Read, Object, [MultipartStep, KeysInResponse];
    ListMultipartUploads: Read, Bucket, [Listing];
    CreateBucket: Admin, Bucket, [];
    HeadBucket: Read, Bucket, [];
    DeleteBucket: Admin, Bucket, [];
    GetBucketLocation: Read, Bucket, [];
    GetBucketInfo: Read, Bucket, [];
    ListBuckets: None, Account, [];
    ListObjects: Read, Bucket, [Listing];
    ListObjectsV2: Read, Bucket, [Listing];
    ListObjectVersions: Read, Bucket, [Listing];
}

/// The access that an operation requires on a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredAccess {
    /// Reading objects and listings.
    Read,
    /// Writing and deleting objects.
    Write,
    /// Creating and deleting buckets.
    Admin,
    /// None, because the response only contains the buckets for which the caller has a grant.
    None,
}

impl Operation {
    /// Every operation: [`Self::PLAIN`], and three for each setting.
    pub fn all() -> impl Iterator<Item = Self> {
        let settings = Setting::ALL.into_iter();
        let settings =
            settings.flat_map(|setting| [Self::Get(setting), Self::Put(setting), Self::Delete(setting)]);
        Self::PLAIN.into_iter().chain(settings)
    }

    /// Whether the operation changes data at the target, so that it must not be retried.
    pub fn is_write(self) -> bool {
        matches!(self.required_access(), RequiredAccess::Write | RequiredAccess::Admin)
    }

    /// Whether the operation reads an object or its head.
    pub fn is_object_read(self) -> bool {
        self.has_property(OperationProperty::ObjectRead)
    }

    /// Whether the data of an object passes through the proxy. Such an operation is streamed; the bodies of all others
    /// are small and are read completely.
    pub fn is_streamed(self) -> bool {
        self.is_upload() || self.is_object_read()
    }

    /// Whether the request body is the data of an object or a part.
    pub fn is_upload(self) -> bool {
        self.has_property(OperationProperty::Upload)
    }

    /// Whether the target copies an object or a part of it.
    pub fn is_copy(self) -> bool {
        self.has_property(OperationProperty::Copy)
    }

    /// Whether the operation deletes objects.
    pub fn is_delete(self) -> bool {
        self.has_property(OperationProperty::Delete)
    }

    /// Whether the request body is a document that the checksums of the request cover. CompleteMultipartUpload is not
    /// one of these operations, because its checksums cover the object, not the document.
    pub fn has_document(self) -> bool {
        self.has_property(OperationProperty::Document)
    }

    /// Whether the operation sets an access control list.
    pub fn is_acl_write(self) -> bool {
        matches!(self, Self::Put(setting) if setting.is_acl())
    }

    /// Whether the operation is a step of a multipart upload after CreateMultipartUpload.
    pub fn is_multipart_step(self) -> bool {
        self.has_property(OperationProperty::MultipartStep)
    }

    /// Whether the operation returns a page of the keys of a bucket.
    pub fn is_listing(self) -> bool {
        self.has_property(OperationProperty::Listing)
    }

    /// Whether the response contains keys although the operation is not a listing.
    pub fn has_keys_in_response(self) -> bool {
        self.has_property(OperationProperty::KeysInResponse)
    }

    /// Whether the operation creates an object, so that the request contains its metadata, storage class and ACL.
    pub fn creates_object(self) -> bool {
        self.has_property(OperationProperty::CreatesObject)
    }

    /// Whether the operation creates an object without a copy source.
    pub fn creates_without_source(self) -> bool {
        self != Self::CopyObject && self.creates_object()
    }

    /// Whether the operation creates an object without a copy source, or is a step of a multipart upload.
    pub fn writes_without_source(self) -> bool {
        self != Self::CopyObject && (self.creates_object() || self.is_multipart_step())
    }

    /// Whether the operation transfers no data of an object, neither through the proxy nor by a copy.
    pub fn has_no_payload(self) -> bool {
        !self.is_streamed() && !self.is_copy()
    }
}
