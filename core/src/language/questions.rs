//! Whether a first contact is effective (C35): it holds an open question about the customer's need. A question that yes or no answers, that asks
//! when, where and whom, that nobody is to answer, that is answered at once, or that the customer asked, is none.

use std::ops::Range;

use serde::Serialize;

use super::text::{Text, is_full_stop, is_stop};
use super::words::Words;

/// What a first contact is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstContact {
    /// It holds an open question about the customer's need.
    pub effective: bool,
    /// The first such question, as it was asked.
    pub question: Option<String>,
}

/// Reads the text of a first contact: a message, or a transcript with a speaker in front of each line (`我：…`, `客户：…`).
pub fn first_contact(text: &str, words: &Words) -> FirstContact {
    let text = Text::of(text);
    let asked =
        Asked { text: &text, words, is_marked: text.chars.iter().any(|c| matches!(c, '?' | '。' | '!')) };
    let question = own_lines(&text, words).into_iter().find_map(|line| asked.first(line));
    let question = question.map(|span| text.said(span).trim().to_owned());
    FirstContact { effective: question.is_some(), question }
}

/// What our side says. Without a speaker all of it is ours.
fn own_lines(text: &Text, words: &Words) -> Vec<Range<usize>> {
    let mut lines: Vec<(bool, Range<usize>)> = Vec::new();
    let mut start = 0;
    let mut is_own = true;
    let begins = |at: usize| at == 0 || text.before(at).is_some_and(|c| is_full_stop(c) || c == ' ');
    // 韩主任：您好 at the beginning addresses somebody, unless it is a transcript, in which others speak too.
    let is_transcript = (1..text.len()).any(|at| begins(at) && speaker(text, words, at).is_some());
    for at in 0..=text.len() {
        let speaker = if begins(at) { speaker(text, words, at) } else { None };
        let greets = |behind: usize| is_salutation(text, words, behind);
        let speaker = speaker.filter(|(own, behind)| *own || at > 0 || is_transcript || !greets(*behind));
        if let Some((own, behind)) = speaker {
            lines.push((is_own, start..at));
            (is_own, start) = (own, behind);
        }
    }
    lines.push((is_own, start..text.len()));
    lines.into_iter().filter(|(is_own, line)| *is_own && !line.is_empty()).map(|(_, line)| line).collect()
}

/// Whether what stands in front of this colon is who a letter is to: a greeting follows, or it was addressed as one is in a letter.
fn is_salutation(text: &Text, words: &Words, behind: usize) -> bool {
    let next =
        (behind..text.len()).find(|at| text.get(*at).is_some_and(|c| !c.is_whitespace() && !is_full_stop(c)));
    let words = &words.questions;
    next.is_some_and(|at| words.greetings.at(&text.chars, at).is_some())
        || words.salutations.is_in(&text.chars, 0..behind)
}

/// Whether our side speaks in the line that begins here, and where its words begin.
fn speaker(text: &Text, words: &Words, at: usize) -> Option<(bool, usize)> {
    let length = (1..=SPEAKER_MAX_CHARS).find(|length| text.get(at + length) == Some(':'))?;
    let end = at + length;
    let name = text.chars.get(at..end)?;
    if words.questions.own.is(name) {
        return Some((true, end + 1));
    }
    // 小陈：, as colleagues call each other.
    if name.len() == 2 && name[0] == '小' {
        return Some((true, end + 1));
    }
    // 李主任：, 客户王总：.
    let is_customer = words.questions.customer.before(&text.chars, end).is_some()
        && !name.iter().any(|c| is_stop(*c) || matches!(c, '问' | '请'));
    is_customer.then_some((false, end + 1))
}

struct Asked<'a> {
    text: &'a Text,
    words: &'a Words,
    /// Somebody has put marks between the sentences: what asks ends with one.
    is_marked: bool,
}

impl Asked<'_> {
    /// The first open question of a line.
    fn first(&self, line: Range<usize>) -> Option<Range<usize>> {
        let chars = &self.text.chars;
        let mut start = line.start;
        while start < line.end {
            let end = (start..line.end).find(|at| is_full_stop(chars[*at])).unwrap_or(line.end);
            if let Some(question) = self.in_sentence(start..end, line.end) {
                return Some(question);
            }
            start = end + 1;
        }
        None
    }

    fn in_sentence(&self, sentence: Range<usize>, line_end: usize) -> Option<Range<usize>> {
        let (text, chars, words) = (self.text, &self.text.chars, &self.words.questions);
        let is_asked = text.get(sentence.end) == Some('?');
        // 为什么选我们？因为我们快。
        let answer = (sentence.end + 1..line_end).find(|at| !matches!(chars[*at], ' ' | '?' | '!'));
        if is_asked
            && answer.is_some_and(|at| words.answers.at(chars, at).is_some())
            && !self.is_to_customer(&sentence)
        {
            return None;
        }
        // 您最头疼的是什么？肯定是排队: the customer was asked, and is not let answer.
        if is_asked && answer.is_some_and(|at| words.self_answers.at(chars, at).is_some()) {
            return None;
        }
        // 买设备最怕什么？最怕没人管: the answer takes up the words of the question.
        let takes_up = words.asks.all_in(chars, sentence.clone()).any(|word| {
            let behind = sentence.end..line_end.min(sentence.end + 10);
            word.start >= sentence.start + 2
                && self
                    .text
                    .contains(behind.clone(), &chars[word.start - 2..word.start].iter().collect::<String>())
                || self.text.contains(behind.clone(), "就是")
                || self.text.contains(behind, "我们")
        });
        if is_asked && takes_up && !words.whom.is_in(chars, sentence.clone()) {
            return None;
        }
        // 怎么个磨人法，您给我讲讲: the request stands behind the comma.
        let told_behind = words.told_behind.last_in(chars, sentence.clone()).map(|word| word.start);
        let mut start = sentence.start;
        while start < sentence.end {
            let end = (start..sentence.end)
                .find(|at| chars[*at] == ',' || chars[*at] == ':')
                .unwrap_or(sentence.end);
            let clause = start..end;
            let is_last = end == sentence.end;
            // 院长问我：你们凭什么贵？ tells what somebody else asked.
            let reported = start > sentence.start && words.reported.before(chars, start - 1).is_some();
            if reported {
                start = end + 1;
                continue;
            }
            let found = self
                .clause(clause.clone(), &sentence, (is_asked, is_last), told_behind)
                .or_else(|| self.either(&clause, &sentence, is_asked));
            if found.is_some() {
                return found;
            }
            start = end + 1;
        }
        None
    }

    fn clause(
        &self,
        clause: Range<usize>,
        sentence: &Range<usize>,
        (is_asked, is_last): (bool, bool),
        told_behind: Option<usize>,
    ) -> Option<Range<usize>> {
        let (chars, words) = (&self.text.chars, &self.words.questions);
        let requests = words.requests.is_in(chars, clause.clone());
        // 想跟您请教，现在最大的瓶颈在哪: the request stands in front of the comma.
        let is_begged = requests
            || is_last && words.requests.is_in(chars, sentence.start..clause.start)
            || told_behind.is_some_and(|at| at >= clause.end);
        let mut floor = clause.start;
        for word in words.asks.all_in(chars, clause.clone()) {
            let part = self.part(&clause, &word, floor);
            floor = word.end;
            if self.is_open(&part, &word)
                && self.stands(&part, &word, sentence, (is_asked, is_last), (requests, is_begged))
            {
                return Some(part);
            }
        }
        // 请您介绍一下目前的使用情况 asks without a word that asks.
        let begs = requests
            && words.matters.is_in(chars, clause.clone())
            && !words.asks.is_in(chars, clause.clone());
        let to_them = words.whom.is_in(chars, clause.clone());
        let is_request = words.requests.all_in(chars, clause.clone()).any(|word| {
            let behind = word.end..clause.end;
            words.matters.is_in(chars, behind) && !self.is_ours(&clause, &word)
        });
        let is_yes_no = self.ends_yes_no(&clause) && !is_request;
        if begs && is_request && to_them && !is_yes_no && self.is_about_need(&clause) {
            return Some(clause);
        }
        // 您目前最大的困难是？ leaves the word out.
        let is_cut = is_asked && is_last && matches!(self.text.before(clause.end), Some('是' | '呢' | '为'));
        let matters = words.matters.is_in(chars, clause.clone()) || self.text.contains(clause.clone(), "最");
        let whether = words.whether.is_in(chars, clause.clone());
        (is_cut && to_them && matters && !whether && self.is_about_need(&clause)).then_some(clause)
    }

    /// Whether our side is the one who tells: 我给您介绍一下情况.
    fn is_ours(&self, clause: &Range<usize>, word: &Range<usize>) -> bool {
        let text = self.text;
        let near = clause.start.max(word.start.saturating_sub(6))..word.end;
        ["给您", "向您介绍", "为您", "跟您说", "帮您", "我来", "让我", "由我"]
            .iter()
            .any(|own| text.contains(near.clone(), own))
    }

    /// The part of a clause without commas that holds one question: from who is asked to where somebody else speaks.
    fn part(&self, clause: &Range<usize>, word: &Range<usize>, floor: usize) -> Range<usize> {
        if self.is_marked || clause.len() < LONG_CLAUSE_CHARS {
            return clause.clone();
        }
        let from = floor.max(clause.start);
        let start = self.addressed(from, word.start).unwrap_or(from);
        let ends = ["我", "要是", "还有什么", "谢谢", "您"];
        let end = (word.end..clause.end)
            .find(|at| ends.iter().any(|end| self.text.has(*at, end)))
            .unwrap_or(clause.end);
        start..end
    }

    /// Where who is asked is named last: 您院里 begins with 您.
    fn addressed(&self, from: usize, to: usize) -> Option<usize> {
        let chars = &self.text.chars;
        let mut last: Option<Range<usize>> = None;
        for whom in self.words.questions.whom.all_in(chars, from..to) {
            if matches!(chars.get(whom.end), Some('好' | '请' | '问')) {
                continue;
            }
            let is_pronoun = matches!(chars[whom.start], '您' | '你' | '咱' | '贵');
            let start = last
                .filter(|last| whom.start - last.end <= 1 && !is_pronoun)
                .map_or(whom.start, |last| last.start);
            last = Some(start..whom.end);
        }
        last.map(|last| last.start)
    }

    /// Whether a word that asks does ask here.
    fn is_open(&self, part: &Range<usize>, word: &Range<usize>) -> bool {
        let clause = self.text.clause(word.start);
        let front = part.start.min(word.start).max(clause.start)..word.start;
        let behind = word.end..self.text.clause(word.end).end.min(word.end + 16);
        !self.is_taken_back_before(&front, word)
            && !self.is_taken_back_behind(&behind, word)
            && !self.is_whether(&front, &behind, word)
            && !self.is_boast(part, &front, &behind, word)
            && self.is_about_need(part)
    }

    /// 无论您选什么, 我知道您最关注什么, 给您介绍怎么选: said in front.
    fn is_taken_back_before(&self, front: &Range<usize>, word: &Range<usize>) -> bool {
        let (chars, words) = (&self.text.chars, &self.words.questions);
        let from = front.start.saturating_sub(2).max(self.text.clause(word.start).start);
        let text_asks = self.text.get(self.text.sentence(word.start).end) == Some('?');
        // 您手术室一共有几台？
        let is_counted =
            text_asks && words.whom.is_in(chars, front.clone()) && self.text.before(word.start) == Some('有');
        let is_any = words.any.all_in(chars, from..word.end).any(|any| {
            any.end >= word.start.saturating_sub(14)
                && !self.is_negated_need(&any)
                && (chars[any.end - 1] != '几' || chars[word.start] == '几' && !is_counted)
                // 没敢打扰您对手术床: who is asked begins another sentence.
                && any.end != front.start + 1
        });
        let mut tells = words.tells.all_in(chars, from..word.start);
        is_any || tells.any(|tells| !words.whom.is_in(chars, tells.end..word.start))
    }

    /// 哪种都可以, 您最看重哪个我心里有数: said behind, also in the next clause.
    fn is_taken_back_behind(&self, behind: &Range<usize>, word: &Range<usize>) -> bool {
        let (text, chars, words) = (self.text, &self.text.chars, &self.words.questions);
        // 哪些设备都在超期服役？ asks; 哪些都行 does not.
        let is_asked = text.get(text.sentence(word.start).end) == Some('?');
        let all = text.contains(behind.clone(), "都") && !text.contains(behind.clone(), "都行");
        let behind = if is_asked && all { word.end..word.end } else { behind.clone() };
        let next = (behind.end + 1).min(chars.len())..(behind.end + 9).min(chars.len());
        let follows =
            || words.any_behind.first_in(chars, next.clone()).is_some_and(|any| any.start < next.start + 5);
        words.any_behind.is_in(chars, behind.clone()) || (text.get(behind.end) == Some(',') && follows())
    }

    /// 有没有什么困难 asks whether, 有什么可以帮您的 offers.
    fn is_whether(&self, front: &Range<usize>, behind: &Range<usize>, word: &Range<usize>) -> bool {
        let (text, chars, words) = (self.text, &self.text.chars, &self.words.questions);
        let is_begged = words.requests.is_in(chars, front.clone());
        let has = text.before(word.start) == Some('有');
        // 有什么要求您提出来: whoever has them is named behind.
        let is_told = has
            && !words.whom.is_in(chars, front.clone())
            && words.whom.is_in(chars, behind.clone())
            && text.get(text.sentence(word.start).end) != Some('?');
        (words.whether.is_in(chars, front.clone()) && !is_begged)
            || is_told
            || (has && words.offers.is_in(chars, behind.clone()))
    }

    /// 什么样的医院没服务过, 哪台便宜买哪台, and 什么 alone, which is surprise.
    fn is_boast(
        &self,
        part: &Range<usize>,
        front: &Range<usize>,
        behind: &Range<usize>,
        word: &Range<usize>,
    ) -> bool {
        let (text, chars, words) = (self.text, &self.text.chars, &self.words.questions);
        let same = words.asks.all_in(chars, text.clause(word.start));
        let again = same.filter(|other| chars[other.clone()] == chars[word.clone()]).count() > 1;
        let is_any = again && !text.has(word.start, "为什么") && !text.has(word.start, "哪些");
        let boasts = !words.whom.is_in(chars, front.clone())
            && text.contains(behind.clone(), "没")
            && matches!(text.before(part.end), Some('过' | '呢'));
        is_any || boasts || word.len() == part.len()
    }

    /// 不满意 and 没解决 are what is asked for: only directly in front of the asking word does 不 or 没 take it back.
    fn is_negated_need(&self, any: &Range<usize>) -> bool {
        let word = &self.text.chars[any.clone()];
        let is_plain = word == ['不'] || word == ['没'] || word == ['没', '有'];
        is_plain && self.words.questions.asks.at(&self.text.chars, any.end).is_none()
    }

    /// Neither when, where and whom, nor about ourselves, nor for the sake of speaking.
    fn is_about_need(&self, part: &Range<usize>) -> bool {
        let (chars, words) = (&self.text.chars, &self.words.questions);
        // 给您报个价怎么样, 我先放样机，您看如何.
        let ours = ["给您", "我", "帮您"].iter().any(|own| self.text.has(part.start, own));
        let is_proposal = ours && words.proposals.before(chars, part.end).is_some()
            || words.proposals.before(chars, part.end).is_some_and(|length| part.len() <= length + 1)
            || words.proposals.at(chars, part.start).is_some_and(|length| length > 2);
        // 看哪几点 is no 几点.
        let is_logistic = words
            .logistics
            .all_in(chars, part.clone())
            .any(|word| !(chars[word.start] == '几' && self.text.before(word.start) == Some('哪')));
        // 您希望我们怎么配合 is about what they need.
        let hopes = words.hopes.first_in(chars, part.clone());
        let about_us = words
            .about_us
            .all_in(chars, part.clone())
            .any(|word| hopes.as_ref().is_none_or(|hopes| hopes.start > word.start));
        let only_us = self.text.contains(part.clone(), "我们")
            && !words.whom.is_in(chars, part.clone())
            && !words.requests.is_in(chars, part.clone());
        // 您当初为什么不选国产 asks, 为什么不买更好的 does not.
        let is_former =
            self.words.amounts.past.is_in(chars, part.clone()) && words.whom.is_in(chars, part.clone());
        let is_rhetorical = words
            .rhetorical
            .all_in(chars, part.clone())
            .any(|word| !(is_former && self.text.has(word.start, "为什么")));
        let when = self.text.has(part.start, "您看")
            && ["时候", "怎么定", "怎么安排", "怎么走"]
                .iter()
                .any(|word| self.text.contains(part.clone(), word));
        !is_logistic && !when && !about_us && !only_us && !is_rhetorical && !is_proposal
    }

    /// Whether a question is one by its mark, its end and what is asked for.
    fn stands(
        &self,
        part: &Range<usize>,
        word: &Range<usize>,
        sentence: &Range<usize>,
        (is_asked, is_last): (bool, bool),
        (requests, is_begged): (bool, bool),
    ) -> bool {
        let (chars, words) = (&self.text.chars, &self.words.questions);
        let to_them = words.whom.is_in(chars, part.clone());
        if self.ends_yes_no(part) && !requests {
            return false;
        }
        if chars[word.start] == '谁' && !to_them && !self.text.has(word.end, "说了算") {
            return false;
        }
        let is_count = chars[word.start] == '几';
        if is_count && (!to_them && !is_asked || self.text.contains(part.start..word.start, "我")) {
            return false;
        }
        let is_ours = self.text.contains(part.clone(), "我");
        if !self.is_marked {
            // 预算大概多少: all of a short message is the question.
            let is_theirs = words.whom.is_in(chars, sentence.start..part.end) && is_last;
            return to_them || is_asked || !is_ours && (is_theirs || self.text.len() <= SHORT_CHARS);
        }
        // 关键是您想用它来做什么, 您主要关注哪方面，我挑重点发.
        let near = part.start..(part.start + 4).min(part.end);
        let is_addressed = words
            .whom
            .first_in(chars, part.start..(near.end + 2).min(part.end))
            .is_some_and(|whom| whom.start < near.end);
        let for_us = self.text.get(part.end) == Some(',') && self.text.has(part.end + 1, "我");
        is_asked
            || requests && to_them
            || is_begged && words.whom.is_in(chars, sentence.clone()) && !is_ours
            || (is_last || for_us) && is_addressed && !is_ours
    }

    fn ends_yes_no(&self, part: &Range<usize>) -> bool {
        let chars = &self.text.chars;
        let mut end = part.end;
        while end > part.start && matches!(chars[end - 1], ' ' | '呢' | '啊' | '呀') {
            end -= 1;
        }
        // The end of 什么 is no 么.
        let words = &self.words.questions;
        let asks = words.asks.before(chars, end);
        words
            .yes_no
            .before(chars, end)
            .is_some_and(|length| end - length > part.start && asks.is_none_or(|asks| asks < length))
    }

    /// 是图像不行，还是速度不行: a choice between two, over a comma or not.
    fn either(&self, clause: &Range<usize>, sentence: &Range<usize>, is_asked: bool) -> Option<Range<usize>> {
        let (text, chars, words) = (self.text, &self.text.chars, &self.words.questions);
        let word = words.either.first_in(chars, clause.clone())?;
        // The first half stands in front of the comma.
        let start = if word.start <= clause.start + 1 && clause.start > sentence.start {
            text.clause(clause.start.saturating_sub(2)).start.max(sentence.start)
        } else {
            clause.start
        };
        let part = match self.is_marked {
            true => start..clause.end,
            false => {
                self.addressed(start, word.start).unwrap_or(start)
                    ..(word.end..clause.end).find(|at| text.has(*at, "我")).unwrap_or(clause.end)
            }
        };
        let stands = is_asked || (!self.is_marked && words.whom.is_in(chars, part.clone()));
        let is_any = words.any.all_in(chars, part.clone()).any(|any| any.len() > 1);
        let ours = part.clone().any(|at| text.has(at, "我") && !text.has(at, "我们"));
        // 您还是先看看: still, and no choice.
        let is_pair = text.contains(start..word.start, "先") && text.get(word.end) == Some('先');
        let is_still =
            !is_pair && text.get(word.end).is_none_or(|c| "先再要得会不没很可建推有老那这".contains(c));
        // 您是设备科还是采购办的: who somebody is.
        let is_role = text.contains(part.clone(), "您是")
            && self.words.places.departments.is_in(chars, part.clone())
            || ["您是负责", "您是管", "您是主任", "您是院长"]
                .iter()
                .any(|role| text.contains(part.clone(), role));
        if is_still || is_role {
            return None;
        }
        (stands && !is_any && !ours && !self.ends_yes_no(&part) && self.is_about_need(&part)).then_some(part)
    }

    fn is_to_customer(&self, sentence: &Range<usize>) -> bool {
        let text = self.text;
        ["您", "贵司", "贵院", "贵科", "贵公司", "贵厂", "贵校"]
            .iter()
            .any(|whom| text.contains(sentence.clone(), whom))
            && !self.words.questions.about_us.is_in(&text.chars, sentence.clone())
    }
}

/// 客户经理王总 and a colon.
const SPEAKER_MAX_CHARS: usize = 6;
/// A message without marks that is no longer than this says one thing.
const SHORT_CHARS: usize = 28;
/// A clause longer than this, in a text without marks, holds more than the question.
const LONG_CLAUSE_CHARS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, question: Option<&str>) {
        let verdict = first_contact(said, Words::medical());
        assert_eq!(verdict.question.as_deref(), question, "{said}");
        assert_eq!(verdict.effective, question.is_some(), "{said}");
    }

    #[test]
    fn open_questions_about_a_need() {
        for (said, question) in [
            ("您好，您目前最关注设备的哪个参数？", "您目前最关注设备的哪个参数"),
            ("能说说您现在最大的困扰是什么吗？", "能说说您现在最大的困扰是什么吗"),
            ("现在这台机器，是图像不行，还是速度不行？", "是图像不行，还是速度不行"),
            ("想听听您对现有呼吸机的看法，不急着谈价格。", "想听听您对现有呼吸机的看法"),
            ("您好杜主任我知道您很忙您对新胃镜有哪些想法您随便说", "您对新胃镜有哪些想法"),
            ("您当初为什么不选国产？", "您当初为什么不选国产"),
            ("贵科目前最大的困难是？", "贵科目前最大的困难是"),
            ("我：您好。\n客户：什么事？\n我：您科里最缺什么？", "您科里最缺什么"),
        ] {
            check(said, Some(question));
        }
    }

    #[test]
    fn what_asks_nothing_of_the_kind() {
        for said in [
            "您需要CT吗？",
            "有什么可以帮到您的吗？",
            "您什么时候方便？",
            "什么时候都可以联系我",
            "无论您选什么品牌我都可以帮您比价",
            "谁不想要好设备呢？",
            "为什么这么多学校信任我们？因为我们只用环保材料。",
            "很多主任问我怎么选超声，我都整理成文档了。",
            "客户：你们和别家有什么区别？\n我：更耐用。",
            "您觉得我们的报价怎么样？",
            "您有没有什么困难？",
            "您加我微信还是我加您？",
            "可以问您个问题吗？",
        ] {
            check(said, None);
        }
    }
}
