/**
 * @supabase/lite 0.10 writes the argument names of a function call as they come, unquoted: PostgREST
 * quotes them, so an argument may be called `only`. This plugin for its query builder (kysely) quotes
 * that name, which stands in the query as a fragment of its own.
 */
export const quoteReservedArgument = {
  transformQuery: <Node>({ node }: { node: Node }): Node => quoted(node) as Node,
  transformResult: <Result>({ result }: { result: Result }) => Promise.resolve(result),
};

function quoted(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(quoted);
  // a bound value is no part of the query's text, and may be anything
  if (typeof node !== "object" || node === null || isOfKind(node, "ValueNode")) return node;
  if (isOfKind(node, "RawNode") && `${(node as RawNode).sqlFragments}` === "only") {
    return { ...node, sqlFragments: ['"only"'] };
  }
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, quoted(value)]));
}

interface RawNode {
  sqlFragments: string[];
}

function isOfKind(node: object, kind: string): boolean {
  return "kind" in node && node.kind === kind;
}
