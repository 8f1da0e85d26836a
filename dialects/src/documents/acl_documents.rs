//! Who may do what, between documents of grants, canned words, and what stands between them.

use crate::dialect::Dialect;
use crate::documents::elements::OWNER_ID;
use crate::encoding::xml::{Node, XmlWriter};
use crate::model::{
    AccessControlList, CannedAcl, ErrorKind, Field, Fields, Grant, Grantee, Permission, Rejection,
};

/// Reads an AccessControlPolicy. `None`: it is none, or its words are not the dialect's.
pub fn read_acl_document(dialect: &Dialect, node: &Node) -> Option<AccessControlList> {
    if node.name != "AccessControlPolicy" {
        return None;
    }
    let list = node.child("AccessControlList")?;
    if dialect.acl_style.canned_in_document {
        return AccessControlList::from_canned(dialect.words.acl.value(list.child_text("Grant")?.trim())?);
    }
    let owner = node.child("Owner").and_then(|owner| owner.child_text("ID")).unwrap_or_default();
    let grants = list.children_named("Grant").map(|grant| read_grant(dialect, grant, owner));
    let mut grants: Vec<Grant> = grants.collect::<Option<_>>()?;
    if dialect.acl_style.implies_owner_control && !grants.iter().any(|grant| grant.grantee == Grantee::Owner)
    {
        grants.push(OWNER_GRANT);
    }
    Some(AccessControlList { inherits: false, grants })
}

const OWNER_GRANT: Grant = Grant { grantee: Grantee::Owner, permission: Permission::FullControl };

/// The fields of headers that grant something, and what they grant.
pub const GRANT_FIELDS: [(Field, Permission); 5] = [
    (Field::GrantRead, Permission::Read),
    (Field::GrantWrite, Permission::Write),
    (Field::GrantReadAcp, Permission::ReadAcp),
    (Field::GrantWriteAcp, Permission::WriteAcp),
    (Field::GrantFullControl, Permission::FullControl),
];

/// The canned list that means what the headers grant. `None`: they grant nothing, something to an account, or what
/// no canned list means.
pub fn canned_from_grant_fields(dialect: &Dialect, fields: &Fields) -> Option<CannedAcl> {
    let mut grants = vec![OWNER_GRANT];
    for (field, permission) in GRANT_FIELDS {
        let Some(text) = fields.text(field) else { continue };
        for grantee in text.split(',') {
            let to = parse_grantee(dialect, grantee)?;
            // The owner has full control, whatever else is said of it.
            if to != Grantee::Owner {
                grants.push(Grant { grantee: to, permission });
            }
        }
    }
    let has_grants = GRANT_FIELDS.iter().any(|row| fields.has(row.0));
    AccessControlList { inherits: false, grants }.to_canned().filter(|_| has_grants)
}

/// `id="..."` or `uri="..."`; the quotes are optional.
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
    let to = match (grantee.child_text("URI"), grantee.child_text("ID")) {
        (Some(uri), _) => {
            let row = dialect.acl_style.groups.iter().find(|row| row.1 == uri.trim())?;
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

/// Whether a dialect's document can tell it.
///
/// # Errors
/// `NotImplemented`.
pub fn check_acl_support(
    caller: &Dialect,
    same_family: bool,
    access: &AccessControlList,
) -> Result<(), Rejection> {
    let is_unsupported = |grant: &Grant| match &grant.grantee {
        Grantee::Owner => false,
        Grantee::Group(group) => !caller.acl_style.groups.iter().any(|row| row.0 == *group),
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
        "The access control list grants what cannot be told in the terms of this service.",
    ))
}

/// Writes an AccessControlPolicy.
pub fn write_acl_document(dialect: &Dialect, access: &AccessControlList, out: &mut XmlWriter) {
    out.open_root("AccessControlPolicy", dialect.xml.namespace);
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
    out.close("AccessControlPolicy");
}

fn write_grant(dialect: &Dialect, grant: &Grant, out: &mut XmlWriter) {
    let group = match &grant.grantee {
        Grantee::Group(group) => dialect.acl_style.groups.iter().find(|row| row.0 == *group).map(|row| row.1),
        Grantee::Owner | Grantee::Account(_) => None,
    };
    let kind = if group.is_some() { "Group" } else { "CanonicalUser" };
    out.open("Grant");
    // Clients read the type as an attribute.
    out.open(&format!("Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\""));
    match (group, &grant.grantee) {
        (Some(uri), _) => out.write_text("URI", uri),
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
