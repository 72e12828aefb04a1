// What ipycanvas and JupyterLab do to wheels, fingers and keys, and Python cannot undo.
// It runs once in a page; without it the widgets work, only less well.
if (!window.pullbackWidgetsPage) {
  window.pullbackWidgetsPage = true;

  // In the capture phase of the window, so before JupyterLab (at the document) and the canvas itself.
  const listen = (type, react) => window.addEventListener(type, event => {
    const inside = event.target.closest?.('.pullback-explorer');
    if (inside) react(event, event.target instanceof HTMLCanvasElement);
  }, {capture: true, passive: true});

  // ipycanvas prevents what a browser does with wheels and fingers: nothing scrolls over a picture.
  for (const type of ['wheel', 'touchstart', 'touchmove', 'touchend', 'touchcancel'])
    listen(type, (event, canvas) => { if (canvas) event.stopPropagation(); });

  // It takes every key as well, Tab included. JupyterLab takes letters for its notebook ('d d' in a
  // list deletes the cell), and Notebook 7 arrows, unless what has the focus has this attribute
  // itself: their shortcuts are for whatever has it. Saving is left to them.
  listen('keydown', (event, canvas) => {
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 's';
    event.target.toggleAttribute('data-lm-suppress-shortcuts', !saves);
    if (canvas && !saves) event.stopPropagation();
  });

  // A browser makes a click of a tap, and scrolls with a finger that moves up or down. One that
  // moves sideways is a mouse to a canvas that follows the mouse.
  let finger = null;
  const mouse = (type, event, at = event) => event.target.dispatchEvent(
    new MouseEvent(type, {clientX: at.clientX, clientY: at.clientY}));
  listen('pointerdown', (event, canvas) => {
    const follows = canvas && event.target.classList.contains('pullback-follows');
    if (follows && event.pointerType === 'touch' && event.isPrimary)
      finger = {id: event.pointerId, clientX: event.clientX, clientY: event.clientY, drags: false};
  });
  listen('pointermove', event => {
    if (finger?.id !== event.pointerId) return;
    const right = Math.abs(event.clientX - finger.clientX);
    const down = Math.abs(event.clientY - finger.clientY);
    if (!finger.drags && right > Math.max(8, down)) {
      finger.drags = true;
      mouse('mousedown', event, finger);
    }
    if (finger.drags) mouse('mousemove', event);
  });
  for (const type of ['pointerup', 'pointercancel'])
    listen(type, event => {
      if (finger?.id !== event.pointerId) return;
      if (finger.drags) mouse('mouseup', event);
      finger = null;
    });
}
