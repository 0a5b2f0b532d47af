/* The pack's own routes on the server. */

import { api } from "../../scripts/api.js";

/** The answer of a route; `body` is sent by POST. Throws an Error with the server's reason. */
export async function ask(path, body = undefined) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await api.fetchApi(`/dreambooth/${path}`, body === undefined ? {} : post);
  const found = await answer.json().catch(() => ({ error: answer.statusText }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}
