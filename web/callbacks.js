/* When something is called: after another function, or once for many calls. */

/** Call `then` after a node's own callback: on this instance alone. */
export function after(target, name, then) {
  const own = target[name];
  target[name] = function (...given) {
    const answer = own?.apply(this, given);
    then(...given);
    return answer;
  };
}

/** Call `then` once after many calls in one frame. */
export function onceAFrame(then) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    // Not an animation frame: those stop in a hidden tab.
    setTimeout(() => {
      waits = false;
      then();
    }, 30);
  };
}
