//! Who may do what, between documents of grants, canned words, and what stands between them.

use crate::engine::dialect::Dialect;
use crate::engine::documents::OWNER;
use crate::model::{Access, Acl, Fault, Field, Fields, Grant, Grantee, Permission, Refusal};
use crate::wire::xml::{Node, Writer};

/// Reads an AccessControlPolicy. `None`: it is none, or its words are not the dialect's.
pub fn read(dialect: &Dialect, node: &Node) -> Option<Access> {
    if node.name != "AccessControlPolicy" {
        return None;
    }
    let list = node.child("AccessControlList")?;
    if dialect.access.by_word {
        return Access::of_canned(dialect.words.acl.value(list.text_of("Grant")?.trim())?);
    }
    let owner = node.child("Owner").and_then(|owner| owner.text_of("ID")).unwrap_or_default();
    let grants = list.all("Grant").map(|grant| read_grant(dialect, grant, owner));
    let mut grants: Vec<Grant> = grants.collect::<Option<_>>()?;
    if dialect.access.owner_implied && !grants.iter().any(|grant| grant.to == Grantee::Owner) {
        grants.push(OWNERS);
    }
    Some(Access { inherits: false, grants })
}

const OWNERS: Grant = Grant { to: Grantee::Owner, permission: Permission::FullControl };

/// The fields of headers that grant something, and what they grant.
pub const GRANTS: [(Field, Permission); 5] = [
    (Field::GrantRead, Permission::Read),
    (Field::GrantWrite, Permission::Write),
    (Field::GrantReadAcp, Permission::ReadAcp),
    (Field::GrantWriteAcp, Permission::WriteAcp),
    (Field::GrantFullControl, Permission::FullControl),
];

/// The canned list that means what the headers grant. `None`: they grant nothing, something to an account, or what
/// no canned list means.
pub fn said_by_grants(dialect: &Dialect, fields: &Fields) -> Option<Acl> {
    let mut grants = vec![OWNERS];
    for (field, permission) in GRANTS {
        let Some(text) = fields.text(field) else { continue };
        for grantee in text.split(',') {
            let to = read_grantee(dialect, grantee)?;
            // The owner has full control, whatever else is said of it.
            if to != Grantee::Owner {
                grants.push(Grant { to, permission });
            }
        }
    }
    let said = GRANTS.iter().any(|row| fields.has(row.0));
    Access { inherits: false, grants }.canned().filter(|_| said)
}

/// `id="..."` or `uri="..."`; the quotes are optional.
fn read_grantee(dialect: &Dialect, text: &str) -> Option<Grantee> {
    let (kind, name) = text.split_once('=')?;
    let name = name.trim().trim_matches('"');
    let style = &dialect.access;
    let known = match kind.trim().to_ascii_lowercase().as_str() {
        "uri" => style.groups,
        "id" if name == OWNER => return Some(Grantee::Owner),
        "id" => style.group_ids,
        _ => return None,
    };
    known.iter().find(|row| row.1 == name).map(|row| Grantee::Group(row.0))
}

fn read_grant(dialect: &Dialect, node: &Node, owner: &str) -> Option<Grant> {
    let grantee = node.child("Grantee")?;
    let to = match (grantee.text_of("URI"), grantee.text_of("ID")) {
        (Some(uri), _) => {
            let row = dialect.access.groups.iter().find(|row| row.1 == uri.trim())?;
            Grantee::Group(row.0)
        }
        (None, Some(id)) => match dialect.access.group_ids.iter().find(|row| row.1 == id.trim()) {
            Some(row) => Grantee::Group(row.0),
            None if id == owner || id == OWNER => Grantee::Owner,
            None => Grantee::Account(id.to_owned()),
        },
        (None, None) => return None,
    };
    let word = node.text_of("Permission")?.trim();
    let permission = Permission::ALL.iter().find(|row| row.1 == word)?.0;
    Some(Grant { to, permission })
}

/// Whether a dialect's document can tell it.
///
/// # Errors
/// `NotImplemented`.
pub fn check(caller: &Dialect, same_family: bool, access: &Access) -> Result<(), Refusal> {
    let untold = |grant: &Grant| match &grant.to {
        Grantee::Owner => false,
        Grantee::Group(group) => !caller.access.groups.iter().any(|row| row.0 == *group),
        Grantee::Account(_) => !same_family,
    };
    let told = match caller.access.by_word {
        true => access.canned().is_some_and(|acl| caller.words.acl.word(acl).is_some()),
        false => !access.grants.iter().any(untold),
    };
    if told {
        return Ok(());
    }
    Err(Refusal::say(
        Fault::NotImplemented,
        "The access control list grants what cannot be told in the terms of this service.",
    ))
}

/// Writes an AccessControlPolicy.
pub fn write(dialect: &Dialect, access: &Access, out: &mut Writer) {
    out.open_root("AccessControlPolicy", dialect.xml.namespace);
    out.open("Owner");
    out.text("ID", OWNER);
    out.text("DisplayName", OWNER);
    out.close("Owner");
    out.open("AccessControlList");
    if dialect.access.by_word {
        let word = access.canned().and_then(|acl| dialect.words.acl.word(acl));
        out.text("Grant", word.unwrap_or_default());
    } else {
        access.grants.iter().for_each(|grant| write_grant(dialect, grant, out));
    }
    out.close("AccessControlList");
    out.close("AccessControlPolicy");
}

fn write_grant(dialect: &Dialect, grant: &Grant, out: &mut Writer) {
    let group = match &grant.to {
        Grantee::Group(group) => dialect.access.groups.iter().find(|row| row.0 == *group).map(|row| row.1),
        Grantee::Owner | Grantee::Account(_) => None,
    };
    let kind = if group.is_some() { "Group" } else { "CanonicalUser" };
    out.open("Grant");
    // Clients read the type as an attribute.
    out.open(&format!("Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\""));
    match (group, &grant.to) {
        (Some(uri), _) => out.text("URI", uri),
        (None, Grantee::Account(id)) => out.text("ID", id),
        (None, _) => {
            out.text("ID", OWNER);
            out.text("DisplayName", OWNER);
        }
    }
    out.close("Grantee");
    out.text("Permission", grant.permission.word());
    out.close("Grant");
}
