/** How much a computation may cost whose worst case is far from what anybody honest asks for, and how much of that it has taken. */
export interface WorkBudget {
  readonly most: number;
  spent: number;
}

/** So many steps. */
export function workBudget(most: number): WorkBudget {
  return { most, spent: 0 };
}

/** Takes steps, before they are done. False when there are not so many left: then the computation has to give up. */
export function spend(budget: WorkBudget, steps: number): boolean {
  if (budget.spent + steps > budget.most) return false;
  budget.spent += steps;
  return true;
}
