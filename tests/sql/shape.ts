/** What a database looks like to those who use it, one line a fact, so that two states compare. */
import type postgres from "postgres";

/** Every table of `public` with its columns, rules, rights and rows. */
export async function shapeOf(sql: postgres.Sql): Promise<string[]> {
  const lines = await sql`
    with of_public as (
      select oid, relname as name, relacl, relrowsecurity, relforcerowsecurity, reloptions, relowner
      from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
    )
    select concat_ws(' ', 'table', name, 'owner', relowner::regrole, 'rls', relrowsecurity, relforcerowsecurity, reloptions) as line
    from of_public
    union all
    select concat_ws(' ', 'column', c.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
    from of_public as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    union all
    select concat_ws(' ', 'constraint', c.name, k.conname, pg_get_constraintdef(k.oid))
    from of_public as c join pg_constraint as k on k.conrelid = c.oid
    union all
    select concat_ws(' ', 'index', c.name, pg_get_indexdef(i.indexrelid))
    from of_public as c join pg_index as i on i.indrelid = c.oid
    union all
    select concat_ws(' ', 'trigger', c.name, t.tgenabled, pg_get_triggerdef(t.oid))
    from of_public as c join pg_trigger as t on t.tgrelid = c.oid and not t.tgisinternal
    union all
    select concat_ws(' ', 'policy', c.name, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from of_public as c join pg_policy as p on p.polrelid = c.oid
    union all
    select concat_ws(' ', 'grant', c.name, g.grantee::regrole, g.privilege_type, g.is_grantable)
    from of_public as c cross join lateral aclexplode(c.relacl) as g
    union all
    select concat_ws(' ', 'grant', c.name, a.attname, g.grantee::regrole, g.privilege_type)
    from of_public as c join pg_attribute as a on a.attrelid = c.oid cross join lateral aclexplode(a.attacl) as g
    union all
    select concat_ws(' ', 'comment', c.name, d.objsubid, d.description)
    from of_public as c join pg_description as d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass`;
  return lines.map(({ line }) => line as string).sort();
}

/** The lines of `some` that `others` lack. */
export function missingIn(others: string[], some: string[]): string[] {
  return some.filter((line) => !others.includes(line));
}
