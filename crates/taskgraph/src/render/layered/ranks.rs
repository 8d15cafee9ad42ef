//! Which layer each task stands in.

use super::{Link, ends};

/// Layers by longest path, counted from 0: each task as far left as its prerequisites let it.
/// Tasks with fewer prerequisites than dependents are then moved right to the nearest of these,
/// which shortens the lines.
///
/// Without its back links the component has no cycle; with them turned round it has none either,
/// since they lead back along a path.
pub(super) fn assign(tasks: usize, links: &[Link]) -> Vec<u32> {
    let mut right = vec![Vec::new(); tasks];
    let mut waiting_for = vec![0_u32; tasks];
    for link in links {
        let (from, to) = ends(link);
        right[from as usize].push(to);
        waiting_for[to as usize] += 1;
    }
    let prerequisites = waiting_for.clone();
    let mut rank = vec![0_u32; tasks];
    let mut order: Vec<u32> = (0..tasks as u32)
        .filter(|task| waiting_for[*task as usize] == 0)
        .collect();
    let mut head = 0;
    while let Some(&task) = order.get(head) {
        head += 1;
        for &next in &right[task as usize] {
            rank[next as usize] = rank[next as usize].max(rank[task as usize] + 1);
            waiting_for[next as usize] -= 1;
            if waiting_for[next as usize] == 0 {
                order.push(next);
            }
        }
    }
    for &task in order.iter().rev() {
        let dependents = &right[task as usize];
        if dependents.len() > prerequisites[task as usize] as usize
            && let Some(nearest) = dependents.iter().map(|next| rank[*next as usize]).min()
        {
            rank[task as usize] = rank[task as usize].max(nearest.saturating_sub(1));
        }
    }
    // All of the first layer may have moved.
    let first = rank.iter().copied().min().unwrap_or(0);
    rank.iter_mut().for_each(|rank| *rank -= first);
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: u32, to: u32) -> Link {
        Link {
            from,
            to,
            back: false,
        }
    }

    #[test]
    fn layers_follow_the_longest_path_and_sources_stand_near_their_dependents() {
        // 0 → 1 → 2 → 3, and 4 → 3 alone.
        let links = [link(0, 1), link(1, 2), link(2, 3), link(4, 3)];
        assert_eq!(assign(5, &links), [0, 1, 2, 3, 2]);
    }

    #[test]
    fn a_back_link_counts_the_other_way_round() {
        let back = Link {
            from: 2,
            to: 0,
            back: true,
        };
        assert_eq!(assign(3, &[link(0, 1), link(1, 2), back]), [0, 1, 2]);
    }
}
