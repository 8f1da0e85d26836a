//! Access control lists: documents with grants, canned ACLs, and the canonical form of both.

use crate::dialect::Dialect;
use crate::documents::elements::OWNER_ID;
use crate::encoding::xml::{Node, XmlWriter};
use crate::model::{
    AccessControlList, CannedAcl, ErrorKind, Field, Fields, Grant, Grantee, Permission, Rejection,
};

/// Reads an AccessControlPolicy. `None` if it is another document, or has values that the dialect does not have.
pub(crate) fn read_acl_document(dialect: &Dialect, node: &Node) -> Option<AccessControlList> {
    if node.name != dialect.xml.roots.acl {
        return None;
    }
    let list = node.child("AccessControlList")?;
    if dialect.acl_style.canned_in_document {
        return AccessControlList::from_canned(dialect.words.acl.value(list.child_text("Grant")?.trim())?);
    }
    let owner = node.child("Owner").and_then(|owner| owner.child_text("ID")).unwrap_or_default();
    let grants = list.children_named("Grant").map(|grant| read_grant(dialect, grant, owner));
    let mut grants: Vec<Grant> = grants.collect::<Option<_>>()?;
    // coscmd writes only the grants to others. Without this one, a target of another vendor would revoke the owner's
    // access.
    if dialect.acl_style.implies_owner_control && !grants.iter().any(|grant| grant.grantee == Grantee::Owner)
    {
        grants.push(OWNER_GRANT);
    }
    Some(AccessControlList { inherits: false, grants })
}

const OWNER_GRANT: Grant = Grant { grantee: Grantee::Owner, permission: Permission::FullControl };

/// The fields of the grant headers, and the permission of each.
pub(crate) const GRANT_FIELDS: [(Field, Permission); 5] = [
    (Field::GrantRead, Permission::Read),
    (Field::GrantWrite, Permission::Write),
    (Field::GrantReadAcp, Permission::ReadAcp),
    (Field::GrantWriteAcp, Permission::WriteAcp),
    (Field::GrantFullControl, Permission::FullControl),
];

/// The canned ACL that is equivalent to the grant headers. `None` if there are no grant headers, if they name an
/// account, or if no canned ACL is equivalent.
pub(crate) fn canned_from_grant_fields(dialect: &Dialect, fields: &Fields) -> Option<CannedAcl> {
    let mut grants = vec![OWNER_GRANT];
    for (field, permission) in GRANT_FIELDS {
        let Some(text) = fields.text(field) else { continue };
        for grantee in text.split(',') {
            let to = parse_grantee(dialect, grantee)?;
            // The owner has full control in every canned ACL, so other grants to it change nothing.
            if to != Grantee::Owner {
                grants.push(Grant { grantee: to, permission });
            }
        }
    }
    let has_grants = GRANT_FIELDS.iter().any(|row| fields.has(row.0));
    AccessControlList { inherits: false, grants }.to_canned().filter(|_| has_grants)
}

/// Reads `id="..."` or `uri="..."`. The quotes are optional.
fn parse_grantee(dialect: &Dialect, text: &str) -> Option<Grantee> {
    let (kind, name) = text.split_once('=')?;
    let name = name.trim().trim_matches('"');
    let style = &dialect.acl_style;
    let group_names = match kind.trim().to_ascii_lowercase().as_str() {
        "uri" => style.groups,
        "id" if name == OWNER_ID => return Some(Grantee::Owner),
        "id" => style.group_ids,
        _ => return None,
    };
    group_names.iter().find(|row| row.1 == name).map(|row| Grantee::Group(row.0))
}

fn read_grant(dialect: &Dialect, node: &Node, owner: &str) -> Option<Grant> {
    let grantee = node.child("Grantee")?;
    let to = match (grantee.child_text(dialect.acl_style.group_element), grantee.child_text("ID")) {
        (Some(name), _) => {
            let row = dialect.acl_style.groups.iter().find(|row| row.1 == name.trim())?;
            Grantee::Group(row.0)
        }
        (None, Some(id)) => match dialect.acl_style.group_ids.iter().find(|row| row.1 == id.trim()) {
            Some(row) => Grantee::Group(row.0),
            None if id == owner || id == OWNER_ID => Grantee::Owner,
            None => Grantee::Account(id.to_owned()),
        },
        (None, None) => return None,
    };
    let word = node.child_text("Permission")?.trim();
    let permission = Permission::ALL.iter().find(|row| row.1 == word)?.0;
    Some(Grant { grantee: to, permission })
}

/// Checks that a document of the caller dialect can express an access control list.
///
/// # Errors
/// `NotImplemented`.
pub(crate) fn check_acl_support(
    caller: &Dialect,
    same_family: bool,
    access: &AccessControlList,
) -> Result<(), Rejection> {
    let is_unsupported = |grant: &Grant| match &grant.grantee {
        Grantee::Owner => false,
        Grantee::Group(group) => !caller.acl_style.groups.iter().any(|row| row.0 == *group),
        // Account IDs of one vendor mean nothing to clients of another.
        Grantee::Account(_) => !same_family,
    };
    let is_supported = match caller.acl_style.canned_in_document {
        true => access.to_canned().is_some_and(|acl| caller.words.acl.word(acl).is_some()),
        false => !access.grants.iter().any(is_unsupported),
    };
    if is_supported {
        return Ok(());
    }
    Err(Rejection::with_message(
        ErrorKind::NotImplemented,
        "The access control list contains grants that this service cannot express.",
    ))
}

/// Writes an AccessControlPolicy.
pub(crate) fn write_acl_document(dialect: &Dialect, access: &AccessControlList, out: &mut XmlWriter) {
    out.open_root(dialect.xml.roots.acl, dialect.xml.namespace);
    out.open("Owner");
    out.write_text("ID", OWNER_ID);
    out.write_text("DisplayName", OWNER_ID);
    out.close("Owner");
    out.open("AccessControlList");
    if dialect.acl_style.canned_in_document {
        let word = access.to_canned().and_then(|acl| dialect.words.acl.word(acl));
        out.write_text("Grant", word.unwrap_or_default());
    } else {
        access.grants.iter().for_each(|grant| write_grant(dialect, grant, out));
    }
    out.close("AccessControlList");
    out.close(dialect.xml.roots.acl);
}

/// The namespace of the attribute with a grantee's kind.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

fn write_grant(dialect: &Dialect, grant: &Grant, out: &mut XmlWriter) {
    let group = match &grant.grantee {
        Grantee::Group(group) => dialect.acl_style.groups.iter().find(|row| row.0 == *group).map(|row| row.1),
        Grantee::Owner | Grantee::Account(_) => None,
    };
    let kind = if group.is_some() { "Group" } else { "CanonicalUser" };
    out.open("Grant");
    match dialect.acl_style.has_grantee_type {
        true => out.open_with("Grantee", &[("xmlns:xsi", SCHEMA_INSTANCE), ("xsi:type", kind)]),
        false => out.open("Grantee"),
    }
    match (group, &grant.grantee) {
        (Some(name), _) => out.write_text(dialect.acl_style.group_element, name),
        (None, Grantee::Account(id)) => out.write_text("ID", id),
        (None, _) => {
            out.write_text("ID", OWNER_ID);
            out.write_text("DisplayName", OWNER_ID);
        }
    }
    out.close("Grantee");
    out.write_text("Permission", grant.permission.word());
    out.close("Grant");
}
