//! Who may do what with a bucket or an object.

use crate::model::field::CannedAcl;

/// An access control list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessControlList {
    /// Whether the bucket decides; the grants are those of the bucket then, where they are known.
    pub inherits: bool,
    /// What is allowed.
    pub grants: Vec<Grant>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

/// To whom something is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// Whoever owns the bucket or the object.
    Owner,
    /// Many at once.
    Group(Group),
    /// An account of one vendor, by its id.
    Account(String),
}

/// Many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Everybody.
    Everyone,
    /// Everybody with an account of the vendor.
    Authenticated,
    /// The vendor's delivery of logs.
    LogDelivery,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum Permission {
    FullControl,
    Read,
    Write,
    ReadAcp,
    WriteAcp,
}

impl Permission {
    /// Every permission with its word, which is the same everywhere.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::FullControl, "FULL_CONTROL"),
        (Self::Read, "READ"),
        (Self::Write, "WRITE"),
        (Self::ReadAcp, "READ_ACP"),
        (Self::WriteAcp, "WRITE_ACP"),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// The canned lists that grants can be told by, and what each grants beside the owner's full control.
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
    /// What a canned list means. `None` for one that names an account.
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

    /// The canned list that means the same, if there is one.
    pub fn to_canned(&self) -> Option<CannedAcl> {
        if self.inherits {
            return Some(CannedAcl::Inherit);
        }
        let is_same = |acl: CannedAcl| {
            let canned = Self::from_canned(acl).unwrap_or_default().grants;
            canned.iter().all(|grant| self.grants.contains(grant))
                && self.grants.iter().all(|grant| canned.contains(grant))
        };
        CANNED_ACLS.iter().map(|row| row.0).find(|acl| is_same(*acl))
    }
}
