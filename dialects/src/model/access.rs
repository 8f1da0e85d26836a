//! Access control lists of buckets and objects.

use crate::model::field::CannedAcl;

/// An access control list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessControlList {
    /// Whether the object inherits the list of its bucket. The grants are then those of the bucket, where they are
    /// known.
    pub inherits: bool,
    /// The entries of the list.
    pub grants: Vec<Grant>,
}

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who receives the permission.
    pub grantee: Grantee,
    /// What the grantee may do.
    pub permission: Permission,
}

/// Who receives a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// The owner of the bucket or the object.
    Owner,
    /// A predefined group of users.
    Group(Group),
    /// An account of one vendor, by its ID.
    // Account IDs differ from vendor to vendor, so a grant to an account must not be sent to a target of another
    // vendor.
    Account(String),
}

/// A predefined group of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Everyone, anonymous clients included.
    Everyone,
    /// Every user with an account of the vendor.
    Authenticated,
    /// The vendor's log delivery service.
    LogDelivery,
}

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own")]
pub enum Permission {
    FullControl,
    Read,
    Write,
    ReadAcp,
    WriteAcp,
}

impl Permission {
    /// Every permission with its value in documents, which is the same in all dialects.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::FullControl, "FULL_CONTROL"),
        (Self::Read, "READ"),
        (Self::Write, "WRITE"),
        (Self::ReadAcp, "READ_ACP"),
        (Self::WriteAcp, "WRITE_ACP"),
    ];

    /// The value in documents.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// The canned ACLs that can be expressed as grants, and what each grants besides the owner's full control.
// The lists that name the bucket's owner are missing here, since that owner's account is not known.
const CANNED_ACLS: [(CannedAcl, &[(Group, Permission)]); 5] = [
    (CannedAcl::Private, &[]),
    (CannedAcl::PublicRead, &[(Group::Everyone, Permission::Read)]),
    (
        CannedAcl::PublicReadWrite,
        &[(Group::Everyone, Permission::Read), (Group::Everyone, Permission::Write)],
    ),
    (CannedAcl::AuthenticatedRead, &[(Group::Authenticated, Permission::Read)]),
    (
        CannedAcl::LogDeliveryWrite,
        &[(Group::LogDelivery, Permission::Write), (Group::LogDelivery, Permission::ReadAcp)],
    ),
];

impl AccessControlList {
    /// The grants of a canned ACL. `None` for a canned ACL that names an account.
    pub fn from_canned(acl: CannedAcl) -> Option<Self> {
        if acl == CannedAcl::Inherit {
            return Some(Self { inherits: true, grants: Vec::new() });
        }
        let (_, groups) = CANNED_ACLS.iter().find(|row| row.0 == acl)?;
        let groups = groups
            .iter()
            .map(|(group, permission)| Grant { grantee: Grantee::Group(*group), permission: *permission });
        let owner = Grant { grantee: Grantee::Owner, permission: Permission::FullControl };
        Some(Self { inherits: false, grants: std::iter::once(owner).chain(groups).collect() })
    }

    /// The canned ACL with the same grants, if there is one.
    pub fn to_canned(&self) -> Option<CannedAcl> {
        if self.inherits {
            return Some(CannedAcl::Inherit);
        }
        // Both directions are compared, because the order of grants has no meaning and a vendor may repeat a grant.
        let is_same = |acl: CannedAcl| {
            let canned = Self::from_canned(acl).unwrap_or_default().grants;
            canned.iter().all(|grant| self.grants.contains(grant))
                && self.grants.iter().all(|grant| canned.contains(grant))
        };
        CANNED_ACLS.iter().map(|row| row.0).find(|acl| is_same(*acl))
    }
}
