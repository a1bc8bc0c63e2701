// What differs between two definitions, field by field.

export type Definition = Record<string, unknown>;

/** Without what is the default: who leaves it out means the same. */
function told(definition: Definition): Definition {
  const { enabled, ...rest } = definition;
  return enabled === true || enabled === undefined ? rest : definition;
}

export function differing(one: Definition, other: Definition): string[] {
  const [a, b] = [told(one), told(other)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((field) => JSON.stringify(a[field]) !== JSON.stringify(b[field]));
}

export function shown(value: unknown): string {
  return value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** The fields that differ, before and after. */
export function Changes({ before, after }: { before: object | undefined; after: object }) {
  const old = (before ?? {}) as Definition;
  const now = after as Definition;
  const fields = differing(old, now);
  if (fields.length === 0) return <p className="dim">Nothing differs.</p>;
  return (
    <dl className="changes">
      {fields.map((field) => (
        <div key={field}>
          <dt>{field}</dt>
          <dd>
            {before && <del>{shown(old[field])}</del>}
            <ins>{shown(now[field])}</ins>
          </dd>
        </div>
      ))}
    </dl>
  );
}
